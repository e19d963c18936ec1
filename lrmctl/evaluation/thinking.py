"""Infers from an evaluation's completions whether the model thinks, if its template does not show it.

A model about which nothing is known and whose completions never open thinking does not think: they consist of answers
only. If a thinking model skips its thinking, the trace stays `absent`.
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
    """Counts over completions, without failed ones."""

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
        """Contradictions to what is known of the model."""
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
    """The trace, `off` if it has no thinking and the model does not think."""
    if thinking.on is False and trace.thinking_state == "absent" and trace.finish_reason != "error":
        return replace(trace, thinking_state="off")
    return trace


def thinking_facts(thinking: Thinking, shown: ObservedThinking) -> Mapping[str, Any]:
    """The thinking section of a summary."""
    told = {"thoughts": shown.thoughts, "completions": shown.completions}
    kept = {key: value for key, value in thinking.to_json().items() if key not in ("warnings", "format")}
    form = thinking.format
    markers = {"open": form.open, "close": form.close} if form and form.name == OWN else None
    return {**kept, "format": form.name if form else None, "markers": markers, "said": thinking.describe(), **told}
