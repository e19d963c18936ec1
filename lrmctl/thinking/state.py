"""How one model thinks: what it can do, whether it is asked to, and what a completion without a thought is then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from lrmctl.thinking.formats import ThinkingFormat
from lrmctl.types import ThinkingState

Mode = Literal["thinks", "can think", "does not think", "unknown"]
FEW = 0.05
"""Share of completions with a thought below which a model of which nothing else is known counts as one that does not
think."""


@dataclass(frozen=True)
class Thinking:
    """How one model thinks under one set of template arguments.

    Attributes:
        format: its markers; None where they are read from each completion.
        mode: what the model can do.
        on: whether it is asked to think: without a thought a completion is `absent` if True, `off` if False; None
            leaves it to the completions.
        switch: the template's argument that switches thinking, empty for none.
        why: how it was found, for a reader.
        warnings: sentences to be told before anything is drawn.
    """

    format: ThinkingFormat | None = None
    mode: Mode = "unknown"
    on: bool | None = None
    switch: str = ""
    why: str = ""
    warnings: tuple[str, ...] = ()

    def state(self, found: ThinkingState, *, closed_before: bool = False) -> ThinkingState:
        """The state of a completion whose text shows `found`.

        Args:
            closed_before: the rendered prompt ends with a closed thought.
        """
        return "off" if found == "absent" and (closed_before or self.on is False) else found

    def settled(self, thoughts: int, completions: int) -> Thinking:
        """With what an evaluation's completions show, where nothing else says it."""
        if self.on is not None or not completions:
            return self
        seen = f"{thoughts} of {completions} completions opened a thought"
        if thoughts >= FEW * completions and thoughts:
            return replace(self, on=True, mode="thinks", why=_also(self.why, seen))
        seen = seen if thoughts else f"none of {completions} completions opened a thought"
        return replace(self, on=False, mode="does not think", why=_also(self.why, seen))

    def describe(self) -> str:
        """One line for a terminal."""
        form = f" ({self.format.name})" if self.format else ""
        switched = {True: ", on", False: ", off", None: ""}[self.on] if self.mode == "can think" else ""
        return f"{self.mode}{switched}{form}" + (f": {self.why}" if self.why else "")

    def to_json(self) -> dict[str, Any]:
        form = self.format.to_json() if self.format else None
        kept = {"mode": self.mode, "on": self.on, "switch": self.switch, "why": self.why}
        return {**kept, "format": form, "warnings": list(self.warnings)}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Thinking:
        form = row.get("format")
        return cls(
            format=ThinkingFormat.from_json(form) if form else None,
            mode=row.get("mode", "unknown"),
            on=row.get("on"),
            switch=row.get("switch", ""),
            why=row.get("why", ""),
            warnings=tuple(row.get("warnings", ())),
        )


UNKNOWN = Thinking()
_SOFT = "/no_think"
"""In the user's last message or the system message: models with the switch `enable_thinking` heed it (Qwen3)."""


def switched_off_by_words(text: str, thinking: Thinking) -> bool:
    """Whether the words of a prompt switch thinking off, where the model's template has such a switch."""
    return thinking.switch == "enable_thinking" and _SOFT in text


def _also(why: str, seen: str) -> str:
    return f"{why}; {seen}" if why else seen
