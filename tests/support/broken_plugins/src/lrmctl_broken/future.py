from lrmctl import hookimpl

lrmctl_api = 99


@hookimpl
def lrmctl_rewards(register):
    register("of-the-future", dict)
