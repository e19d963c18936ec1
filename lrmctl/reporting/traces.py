"""The trace viewer's place in the report: traces, script, style, and what the page's policy lets a browser do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lrmctl import viewer
from lrmctl.reporting.load import ArmFolder
from lrmctl.viewer import EmbeddedTraces, ViewedRun

_STATIC = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
"""Policy of a page without a script. Figures have styles of their own in their elements."""


class ReportViewer(NamedTuple):
    """What the template puts into the page.

    Attributes:
        traces: of every arm.
        policy: content security policy; it allows one script, by its hash, and none where there are no traces.
        colors: variables that figures, tables and viewer use.
    """

    traces: EmbeddedTraces
    policy: str
    colors: str
    style: str
    script: str


def trace_viewer(arms: Sequence[ArmFolder], lexicon: str, limit: int) -> ReportViewer:
    """The viewer over the rows of every arm.

    Args:
        lexicon: whose words are marked.
        limit: traces of one arm.
    """
    runs = [ViewedRun(arm.label, arm.path) for arm in arms] if limit else []
    traces = viewer.embed(runs, lexicon=lexicon, limit=limit)
    policy = viewer.policy(styles="'unsafe-inline'") if traces.count else _STATIC
    return ReportViewer(traces, policy, viewer.colors(), viewer.style(), viewer.script())
