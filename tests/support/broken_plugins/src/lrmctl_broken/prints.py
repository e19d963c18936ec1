from lrmctl import Score, hookimpl

print("a banner of the plugin")


class Printed:
    def score(self, traces, part):  # noqa: ARG002
        return [Score(1.0) for _ in traces]


@hookimpl
def lrmctl_rewards(register):
    register("printed", Printed, summary="1")
