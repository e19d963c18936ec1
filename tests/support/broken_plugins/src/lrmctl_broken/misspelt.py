from lrmctl import hookimpl


@hookimpl
def lrmctl_rewrads(register):
    register("misspelt", dict)
