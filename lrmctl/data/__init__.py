"""Training data: sources by name, rendering for a model, and audits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl._util.lazy import lazy_names

if TYPE_CHECKING:
    from lrmctl.data.audit import Audit, Histogram, RenderedRows, Repeats
    from lrmctl.data.availability import unavailable_reason
    from lrmctl.data.catalog import CATALOG, DataSet
    from lrmctl.data.fetch import FOLDER, FetchedRows, Row, local_file, rows_sha256
    from lrmctl.data.leaks import TrainingTexts, other_texts, user_texts
    from lrmctl.data.mix import hold_out, repeated_passes
    from lrmctl.data.of_recipe import demonstrations_of, prompts_of, sources_of
    from lrmctl.data.render import encode_prompt, render_prompt, render_response
    from lrmctl.data.renderer import RenderedPrompt, Renderer
    from lrmctl.data.sources import Demonstration, jsonl_source, load_prompts, provenance

__all__ = [
    "CATALOG",
    "FOLDER",
    "Audit",
    "DataSet",
    "Demonstration",
    "FetchedRows",
    "Histogram",
    "RenderedPrompt",
    "RenderedRows",
    "Renderer",
    "Repeats",
    "Row",
    "TrainingTexts",
    "demonstrations_of",
    "encode_prompt",
    "hold_out",
    "jsonl_source",
    "load_prompts",
    "local_file",
    "other_texts",
    "prompts_of",
    "provenance",
    "render_prompt",
    "render_response",
    "repeated_passes",
    "rows_sha256",
    "sources_of",
    "unavailable_reason",
    "user_texts",
]

__getattr__ = lazy_names(
    __name__,
    {
        "audit": (
            "Audit",
            "Histogram",
            "RenderedRows",
            "Repeats",
        ),
        "availability": ("unavailable_reason",),
        "catalog": (
            "CATALOG",
            "DataSet",
        ),
        "fetch": (
            "FOLDER",
            "FetchedRows",
            "Row",
            "local_file",
            "rows_sha256",
        ),
        "leaks": (
            "TrainingTexts",
            "other_texts",
            "user_texts",
        ),
        "mix": (
            "hold_out",
            "repeated_passes",
        ),
        "of_recipe": (
            "demonstrations_of",
            "prompts_of",
            "sources_of",
        ),
        "render": (
            "encode_prompt",
            "render_prompt",
            "render_response",
        ),
        "renderer": (
            "RenderedPrompt",
            "Renderer",
        ),
        "sources": (
            "Demonstration",
            "jsonl_source",
            "load_prompts",
            "provenance",
        ),
    },
)
