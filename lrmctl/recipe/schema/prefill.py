"""Schema of given thoughts in RL: a share of the rollouts begins with a text that the policy did not write."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from lrmctl.recipe.schema.decoding import Prefix, Words
from lrmctl.recipe.schema.sections import MisplacedError, Positive, Section, Share, Use
from lrmctl.types import Kind


class Prefill(Section):
    """Thoughts that rollouts of some prompts begin with; only what the policy writes after them is trained."""

    when: tuple[Kind, ...] | Kind = "harmful"
    """Prompt kinds that it applies to."""
    prompts: Share = 0.5
    """Share of the prompts of these kinds that begin with a given thought."""
    thought: Words | None = None
    """One text for every prompt."""
    thoughts: str | None = None
    """One text per prompt: the folder of a run or evaluation, its rows.jsonl, or a JSONL file of rows
    `{"id" or "prompt", "thought"}`; relative to the recipe."""
    source: Use | None = None
    """One text per prompt: the thinking of a source's demonstrations, found by the prompt's text."""
    only: Literal["any", "safe", "unsafe"] = "any"
    """From an evaluation: only thinking with this verdict."""
    tokens: Positive | None = None
    """Only this many of the text's first tokens; the whole text by default."""
    rewarded: Literal["whole", "written"] = "whole"
    """The thinking that rewards see: given and written text together, or only what the policy wrote."""
    missing: Literal["error", "skip"] = "error"
    """Too few prompts with a text: raise an error, or give thoughts to those that have one."""

    @model_validator(mode="after")
    def _one_of_each(self) -> Prefill:
        given = [name for name in ("thought", "thoughts", "source") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("say exactly one of `thought`, `thoughts` and `source`")
        if self.only != "any" and self.thoughts is None:
            raise MisplacedError("chooses among the rows of `thoughts`; leave it out", ("only",))
        return self

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Prompt kinds that it applies to."""
        return (self.when,) if isinstance(self.when, str) else self.when

    @property
    def decoding(self) -> Prefix:
        """The same thoughts as an evaluation begins with; of a source, with an empty text for every prompt."""
        text = self.thought if self.source is None else ""
        return Prefix(thought=text, thoughts=self.thoughts, only=self.only, tokens=self.tokens)


def check_shares(prefills: tuple[Prefill, ...]) -> None:
    """Raises ValueError if several given thoughts want more than all prompts of a kind."""
    for kind in ("harmful", "benign", "reasoning"):
        if (total := sum(one.prompts for one in prefills if kind in one.kinds)) > 1:
            raise ValueError(f"the shares of {kind} prompts add up to {total:g}; together they are at most 1")
