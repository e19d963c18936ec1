"""Judging files outside a run: verdicts, agreement with human labels, and tables of both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl._util.lazy import lazy_names

if TYPE_CHECKING:
    from lrmctl.judges.offline.inputs import JudgedItem, read_items
    from lrmctl.judges.offline.labels import read_labelled
    from lrmctl.judges.offline.render import counts_table, shown_lines
    from lrmctl.judges.offline.score import again, beside, score_items, summary_of

__all__ = [
    "JudgedItem",
    "again",
    "beside",
    "counts_table",
    "read_items",
    "read_labelled",
    "score_items",
    "shown_lines",
    "summary_of",
]

__getattr__ = lazy_names(
    __name__,
    {
        "inputs": (
            "JudgedItem",
            "read_items",
        ),
        "labels": ("read_labelled",),
        "render": (
            "counts_table",
            "shown_lines",
        ),
        "score": (
            "again",
            "beside",
            "score_items",
            "summary_of",
        ),
    },
)
