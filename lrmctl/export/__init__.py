"""Results of an evaluation in the formats of other tools: Inspect AI, lm-evaluation-harness, Hugging Face datasets.

Only the format changes here: metrics are those of the summary, verdicts those of the rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl._util.lazy import lazy_names

if TYPE_CHECKING:
    from lrmctl.export.hugging_face import write_hugging_face
    from lrmctl.export.inspect import write_inspect
    from lrmctl.export.lm_eval import write_lm_eval
    from lrmctl.export.source import ExportedEvaluation

__all__ = [
    "ExportedEvaluation",
    "write_hugging_face",
    "write_inspect",
    "write_lm_eval",
]

__getattr__ = lazy_names(
    __name__,
    {
        "hugging_face": ("write_hugging_face",),
        "inspect": ("write_inspect",),
        "lm_eval": ("write_lm_eval",),
        "source": ("ExportedEvaluation",),
    },
)
