"""The trace viewer: every trace with its verdicts, entropies and reflections, in a page or served while a run goes on.

Reads run folders and computes no metric. Model text is data: it reaches the page as compressed JSON and is shown only
as text. `embed` puts traces into a page of their own or the report's; `TraceServer` answers a page that asks for them.
"""

from __future__ import annotations

from lrmctl.viewer.assets import colors, policy, script, standalone_page, style
from lrmctl.viewer.embed import DEFAULT_LIMIT, EmbeddedTraces, embed
from lrmctl.viewer.live import LiveTraces
from lrmctl.viewer.records import ViewedRun
from lrmctl.viewer.server import TraceServer

__all__ = [
    "DEFAULT_LIMIT",
    "EmbeddedTraces",
    "LiveTraces",
    "TraceServer",
    "ViewedRun",
    "colors",
    "embed",
    "policy",
    "script",
    "standalone_page",
    "style",
]
