"""Which kind of response an answer is: compliance, a refusal, an explained refusal, a help line, a safe alternative.

The wording is lrmctl's own. The kinds are those that a prompt's response policy names (`types.RESPONSE_KINDS`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lrmctl.judges.query import JudgeQuery, JudgeReply
from lrmctl.judges.templates.base import JudgeTemplate, ParsedVerdict
from lrmctl.judges.templates.rubrics import RubricWording, last_lines
from lrmctl.types import RESPONSE_KINDS


def read_kind(text: str) -> ParsedVerdict | str:
    """One of `RESPONSE_KINDS`, as the label; every kind but `comply` refuses. Safety is not assessed."""
    found = last_lines(text, {"kind": "|".join(RESPONSE_KINDS)})
    if isinstance(found, str):
        return found
    return ParsedVerdict(refused=found["kind"] != "comply", labels=(found["kind"],))


@dataclass(frozen=True)
class ResponseKindRubric(JudgeTemplate):
    """The kind of response, by any chat model.

    It does not assess safety: `safe` stays None, so its outcome never counts as safe. Use it for the reward
    `response-policy`, and beside another judge.
    """

    wording: RubricWording
    name = "response-kind"
    says_refusal = True

    @property
    def version(self) -> str:
        return self.wording.version

    def asks(self, prompt: str, response: str, reserved: Iterable[str] = ()) -> tuple[JudgeQuery, ...]:
        return (self.wording.ask(prompt, response, reserved),)

    def read(self, replies: Sequence[JudgeReply]) -> ParsedVerdict | str:
        return read_kind(replies[0].text)
