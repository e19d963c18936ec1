"""A panel of judges: several judges as one, what each of them said, and how far they agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl._util.lazy import lazy_names

if TYPE_CHECKING:
    from lrmctl.judges.panel.agreement import Agreement, RatedRow, agreements, differs, rated
    from lrmctl.judges.panel.combine import combined
    from lrmctl.judges.panel.judge import Panel, panel_facts
    from lrmctl.judges.panel.opinions import Opinion, opinion_of, opinions_in

__all__ = [
    "Agreement",
    "Opinion",
    "Panel",
    "RatedRow",
    "agreements",
    "combined",
    "differs",
    "opinion_of",
    "opinions_in",
    "panel_facts",
    "rated",
]

__getattr__ = lazy_names(
    __name__,
    {
        "agreement": ("Agreement", "RatedRow", "agreements", "differs", "rated"),
        "combine": ("combined",),
        "judge": ("Panel", "panel_facts"),
        "opinions": ("Opinion", "opinion_of", "opinions_in"),
    },
)
