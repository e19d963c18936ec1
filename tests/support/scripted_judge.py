"""A third-party judge that says what the prompt's meta tells it to; loaded as a real distribution."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from lrmctl import Part, Trace, Verdict, hookimpl
from lrmctl.hooks import registry
from lrmctl.types import Prompt


class Scripted:
    """Its verdict on a part is `meta["says"]`, or `meta["says"][part]` if that is there, as fields of `Verdict`."""

    name = "scripted"
    version = "1"

    def judge(self, traces: Sequence[Trace], part: Part) -> list[Verdict]:
        return [self._verdict(trace, part) for trace in traces]

    def _verdict(self, trace: Trace, part: Part) -> Verdict:
        says = trace.prompt.meta["says"]
        return Verdict(self.name, self.version, part, **says.get(part, says))


@hookimpl
def lrmctl_judges(register):
    register("scripted", Scripted)


def install(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This file as an installed distribution, found in the ordinary way."""
    info = site / "scripted_judge-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: scripted-judge\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lrmctl]\nscripted = scripted_judge_plugin\n")
    (site / "scripted_judge_plugin.py").write_text(Path(__file__).read_text())
    monkeypatch.syspath_prepend(site)
    monkeypatch.setattr(registry._default, "_third_party", None)  # it came after the look-round


def said(kind: str, says: dict, thinking: str = "Let me see.", answer: str = "An answer.", **changes) -> Trace:
    """A trace of which the judge says this."""
    prompt = Prompt.user("p", "A question", kind, meta={"says": says})
    return Trace(prompt, thinking, answer, **{"thinking_state": "closed", **changes})
