"""The card of an exported dataset: its content, the sources of its prompts, and cautions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from lrmctl._util.markdown import plain_markdown
from lrmctl.export.source import ExportedEvaluation

WARNING = (
    "**This dataset holds prompts of safety benchmarks and what a model answered, some of it harmful.** Do not publish"
    " it as it is; `lrmctl export --no-text` leaves texts out. Do not train on it: benchmarks are for measuring."
)
WITHOUT = "Texts were left out: ids, verdicts, lengths and scores only."


def card(evaluation: ExportedEvaluation, files: Sequence[str], columns: Sequence[str]) -> str:
    """Markdown with YAML front matter; names from the evaluation cannot break either.

    Args:
        files: of the rows and of the metrics.
        columns: of the rows.
    """
    head = yaml.safe_dump(_head(evaluation, *files), sort_keys=False, allow_unicode=True)
    lines = [
        f"# Evaluation of {plain_markdown(evaluation.model)}",
        WARNING if evaluation.text else WITHOUT,
        "## Tables",
        "`rows`: one line per sample. `metrics`: each figure with its 95 % interval over prompts.",
        f"Columns of `rows`: {', '.join(f'`{name}`' for name in columns)}.",
        "## Sets",
        _sets(evaluation),
        "## How",
        _how(evaluation),
    ]
    return f"---\n{head}---\n\n" + "\n\n".join(lines) + "\n"


def _head(evaluation: ExportedEvaluation, rows: str, metrics: str) -> dict[str, Any]:
    licences = dict.fromkeys(str(c.source.get("license") or "not stated") for c in evaluation.cells)
    return {
        "pretty_name": f"Evaluation of {evaluation.model}",
        "license": "other",
        "license_name": "licences-of-the-sets",
        "license_details": "; ".join(licences),
        "tags": ["evaluation", "safety", "reasoning", "lrmctl"],
        "configs": [
            {"config_name": "rows", "data_files": rows, "default": True},
            {"config_name": "metrics", "data_files": metrics},
        ],
    }


def _sets(evaluation: ExportedEvaluation) -> str:
    lines = ["| set | kind | prompts | samples | licence | source |", "| --- | --- | --- | --- | --- | --- |"]
    for cell in evaluation.cells:
        words = (cell.set, cell.kind, cell.entry["prompts"], cell.entry["samples"], cell.source.get("license"))
        source = (*words, cell.source.get("url"))
        lines.append(
            f"| {' | '.join(plain_markdown(word if word not in (None, '') else 'not stated') for word in source)} |"
        )
    return "\n".join(dict.fromkeys(lines))


def _how(evaluation: ExportedEvaluation) -> str:
    from lrmctl._util.version import __version__

    told = {k: evaluation.summary.get(k) for k in ("model", "fingerprint", "seed", "sampling")}
    said = "\n".join(f"- {key}: {plain_markdown(value)}" for key, value in told.items() if value not in (None, "", {}))
    return f"Written by lrmctl {__version__}.\n\n{said}"
