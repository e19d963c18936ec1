"""A preference pair: a prompt with a better and a worse response."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lrmctl._util.text import is_blank
from lrmctl.types import Prompt


class Response(NamedTuple):
    """A response with its thinking closed; the thinking is empty if thinking is off."""

    thinking: str
    answer: str


@dataclass(frozen=True)
class PreferencePair:
    """A prompt with the response to prefer and the one to avoid.

    Attributes:
        prefix: what both thoughts begin with: given to the model and not trained on. Empty if nothing is shared.
        template_args: its source's template arguments, added to the recipe's.
        system: its source's system message; None for the recipe's.
    """

    prompt: Prompt
    chosen: Response
    rejected: Response
    prefix: str = ""
    template_args: Mapping[str, Any] = field(default_factory=dict)
    system: str | None = None

    @property
    def flaw(self) -> str:
        """Why nothing can be learned from the pair, as a noun phrase; empty if something can."""
        sides = [(side.thinking.strip(), side.answer.strip()) for side in (self.chosen, self.rejected)]
        if sides[0] == sides[1]:
            return "two identical sides"
        if not all(side.thinking.startswith(self.prefix) for side in (self.chosen, self.rejected)):
            return "a prefix with which the two thoughts do not begin"
        return "an empty answer" if any(is_blank(answer) for _, answer in sides) else ""
