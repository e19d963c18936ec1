"""The smallest reward plugin: 1 where the answer ends like a sentence, 0 where it breaks off, none without one."""

from __future__ import annotations

from lrmctl import Score, hookimpl

lrmctl_api = 1


class WholeSentence:
    """Whether the answer ends in a full stop, exclamation or question mark; quotes and markup after it do not count."""

    range = (0.0, 1.0)

    def score(self, traces, part):
        answers = [trace.answer.rstrip("\"')*`} \n") for trace in traces]
        return [Score(float(answer[-1] in ".!?")) if answer else Score() for answer in answers]


@hookimpl
def lrmctl_rewards(register):
    register("whole-sentence", WholeSentence, summary="1 where the answer ends like a sentence")
