"""How one model thinks: its ability, whether thinking is on, and the state of completions without thinking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from lrmctl.thinking.formats import ThinkingFormat
from lrmctl.types import ThinkingState

Mode = Literal["thinks", "can think", "does not think", "unknown"]
FEW = 0.05
"""A model of which nothing else is known counts as not thinking if fewer completions than this share have thinking."""


@dataclass(frozen=True)
class Thinking:
    """How one model thinks under one set of template arguments.

    Attributes:
        format: its markers; None if they are detected per completion.
        mode: whether the model can think.
        on: whether thinking is on: a completion without thinking is `absent` if True, `off` if False; None decides
            from the completions.
        switch: the template's argument that turns thinking on and off; empty if there is none.
        why: how it was determined, for display.
        warnings: sentences to show before generation.
    """

    format: ThinkingFormat | None = None
    mode: Mode = "unknown"
    on: bool | None = None
    switch: str = ""
    why: str = ""
    warnings: tuple[str, ...] = ()

    def state(self, found: ThinkingState, *, closed_before: bool = False) -> ThinkingState:
        """The thinking state of a completion whose text alone suggests `found`.

        Args:
            closed_before: the rendered prompt ends with closed thinking.
        """
        return "off" if found == "absent" and (closed_before or self.on is False) else found

    def settled(self, thoughts: int, completions: int) -> Thinking:
        """Decide `on` from an evaluation's completions, if nothing else determines it."""
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
"""Soft switch in the last user or system message, obeyed by models with `enable_thinking` (Qwen3)."""


def switched_off_by_words(text: str, thinking: Thinking) -> bool:
    """Whether the text of a prompt turns thinking off, for models with the switch `enable_thinking`."""
    return thinking.switch == "enable_thinking" and _SOFT in text


def _also(why: str, seen: str) -> str:
    return f"{why}; {seen}" if why else seen
