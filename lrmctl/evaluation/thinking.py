"""What an evaluation's completions show of the model's thinking, where its template does not say it.

A model of which nothing is known and whose completions open no thought does not think: its answers are all there is.
One that thinks and skipped its thought stays `absent`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lrmctl.thinking import Thinking, builtin_formats
from lrmctl.thinking.formats import OWN
from lrmctl.types import Trace


@dataclass
class ObservedThinking:
    """Counts over completions; those that failed are left out."""

    completions: int = 0
    thoughts: int = 0
    foreign: int = 0
    example: str = ""

    def see(self, traces: Iterable[Trace], thinking: Thinking) -> None:
        for trace in traces:
            if trace.finish_reason == "error":
                continue
            self.completions += 1
            self.thoughts += trace.thinking_state in ("closed", "unclosed") and not trace.skipped
            marker = _foreign(trace, thinking)
            self.foreign += bool(marker)
            self.example = self.example or marker

    def warnings(self, thinking: Thinking) -> list[str]:
        """What does not fit to what is known of the model."""
        found = list(thinking.warnings)
        fix = "name the model's own format as `thinking:`"
        if self.foreign:
            many = f"{self.foreign} of {self.completions} answers begin with {self.example!r}"
            form = thinking.format.name if thinking.format else "that the model has"
            found.append(f"{many}, which opens a thought in another format than {form}: {fix}")
        if thinking.mode == "thinks" and thinking.on and self.completions and not self.thoughts:
            none = f"none of {self.completions} completions opened a thought, and the model should think"
            found.append(f"{none} ({thinking.why}): if it writes it in another way, {fix}; `off` if it has none")
        if thinking.on is False and self.thoughts:
            found.append(f"{self.thoughts} of {self.completions} completions opened a thought, {thinking.describe()}")
        return found


def _foreign(trace: Trace, thinking: Thinking) -> str:
    """The marker of another format with which an answer begins; empty for none."""
    if thinking.format is None or trace.thinking_state not in ("absent", "off"):
        return ""
    own = thinking.format.literals
    others = (m for form in builtin_formats().values() if not form.prose for m in form.all_opens if m not in own)
    return next((marker for marker in others if trace.answer.startswith(marker)), "")


def as_settled(trace: Trace, thinking: Thinking) -> Trace:
    """A trace without a thought by a model that does not think is `off`."""
    if thinking.on is False and trace.thinking_state == "absent" and trace.finish_reason != "error":
        return replace(trace, thinking_state="off")
    return trace


def thinking_facts(thinking: Thinking, shown: ObservedThinking) -> Mapping[str, Any]:
    """What the summary says."""
    told = {"thoughts": shown.thoughts, "completions": shown.completions}
    kept = {key: value for key, value in thinking.to_json().items() if key not in ("warnings", "format")}
    form = thinking.format
    markers = {"open": form.open, "close": form.close} if form and form.name == OWN else None
    return {**kept, "format": form.name if form else None, "markers": markers, "said": thinking.describe(), **told}
