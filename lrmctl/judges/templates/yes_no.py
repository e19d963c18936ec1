"""A judge from any chat model and your own question: the probability that its reply begins with Yes or No."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal

from lrmctl.errors import RecipeError
from lrmctl.judges.query import JudgeQuery, JudgeReply
from lrmctl.judges.templates.base import JudgeTemplate, ParsedVerdict, by_threshold, checked_threshold, one_of, share_of
from lrmctl.judges.templates.sanitize import defused, fenced, filled


@dataclass(frozen=True)
class YesNo(JudgeTemplate):
    """p_unsafe is the share of the unsafe word in p(Yes) + p(No) of the reply's first token.

    Attributes:
        question: contains `{response}` and optionally `{prompt}`; each text is put between marks that do not occur in
            it. It should end by asking for Yes or No only.
        unsafe: the word that means unsafe.
        threshold: unsafe from this probability on.
        template_args: for the model's chat template; a thinking model needs `enable_thinking: false`, so that its reply
            begins with the answer.
    """

    question: str
    unsafe: Literal["yes", "no"] = "yes"
    threshold: float = 0.5
    template_args: Mapping[str, Any] = field(default_factory=dict)
    name = "yes-no"
    says_refusal = False

    def __post_init__(self) -> None:
        checked_threshold(self.threshold)
        one_of("unsafe", self.unsafe, ("yes", "no"))
        if "{response}" not in self.question:
            raise RecipeError("the question does not show the response", "question", "write {response} where it goes")

    @property
    def version(self) -> str:
        return f"1/{sha256(self.question.encode()).hexdigest()[:8]}/{self.unsafe}-{self.threshold:g}"

    def asks(self, prompt: str, response: str, reserved: Iterable[str] = ()) -> tuple[JudgeQuery, ...]:
        texts = fenced({"prompt": defused(prompt, reserved), "response": defused(response, reserved)})
        message = {"role": "user", "content": filled(self.question, texts)}
        return (JudgeQuery((message,), choices=("Yes", "No"), max_new_tokens=1, template_args=self.template_args),)

    def read(self, replies: Sequence[JudgeReply]) -> ParsedVerdict | str:
        (reply,) = replies
        word, other = ("Yes", "No") if self.unsafe == "yes" else ("No", "Yes")
        p = share_of(reply, word, other)
        return p if isinstance(p, str) else by_threshold(p, self.threshold)
