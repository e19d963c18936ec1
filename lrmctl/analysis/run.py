"""The analyses of one evaluated model, written into its run folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl.analysis.cells import ALL
from lrmctl.analysis.reflection import reflection
from lrmctl.errors import NotFoundError
from lrmctl.runs.folder import write_json
from lrmctl.runs.rows import EvalRow, read_rows

if TYPE_CHECKING:
    from lrmctl.recipe.schema import AnalysisSection

Progress = Callable[[int, int], None]


def analyze(
    model: Path | None,
    run_dir: Path,
    section: AnalysisSection,
    *,
    base_dir: Path | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    on_progress: Progress | None = None,
) -> dict[str, Any]:
    """Write `analysis/reflection.json` and, where a model is given, `analysis/entropy.json`.

    Args:
        model: checkpoint folder that produced the rows; None leaves the entropy out.
        run_dir: folder that holds `eval/rows.jsonl`.
        base_dir: folder of the base model's analysis; its 80th percentiles become the thresholds of this one.
        device, dtype: where and how the forward pass runs.
        on_progress: called with (done, total) traces of the entropy pass.

    Returns:
        `{"reflection": ..., "entropy": ...}` as written; without `entropy` where it was not asked for.

    Raises:
        NotFoundError: nothing was evaluated here, an unknown lexicon, or a base without entropies.
    """
    source = run_dir / "eval" / "rows.jsonl"
    rows = read_rows(source)
    if not rows:
        raise NotFoundError("there are no evaluated rows to analyse", where=str(source), fix="run `lrmctl eval` first")
    found = {"reflection": reflection(rows, section.lexicons)}
    if section.entropy and model is not None:
        thresholds = _thresholds(base_dir) if base_dir is not None else None
        found["entropy"] = _entropy(model, rows, section.max_traces, thresholds, device, dtype, on_progress)
    for name, data in found.items():
        write_json(run_dir / "analysis" / f"{name}.json", data)
    return found


def _entropy(
    model: Path,
    rows: Sequence[EvalRow],
    max_traces: int,
    thresholds: dict[tuple[str, str, float], float] | None,
    device: str,
    dtype: str,
    on_progress: Progress | None,
) -> dict[str, Any]:
    from lrmctl.analysis.entropy import FORMAT, choose, encode, summarize, token_entropies
    from lrmctl.models import fingerprint, load_model, load_tokenizer

    tokenizer = load_tokenizer(model)
    chosen = choose(rows, max_traces)
    encoded = [encode(tokenizer, row) for row in chosen]
    network = load_model(model, dtype=dtype, device=device)
    entropies = token_entropies(network, encoded, pad=tokenizer.pad_token_id, on_progress=on_progress)
    return {
        "format": FORMAT,
        "part": "thinking",
        "unit": "nats",
        "method": "exact: full vocabulary, the model's own logits at T=1, one forward pass",
        "dtype": dtype,
        "model": fingerprint(model),
        "traces": len(chosen),
        "without_thinking": sum(not row.trace.thinking for row in rows),
        "reencoded_differently": sum(not e.exact for e in encoded),
        "threshold_from": "own" if thresholds is None else "base",
        "cells": summarize(chosen, entropies, thresholds),
    }


def _thresholds(base: Path) -> dict[tuple[str, str, float], float]:
    path = base / "analysis" / "entropy.json"
    if not path.exists():
        raise NotFoundError("the base model has no entropy analysis", where=str(path), fix="analyse the base first")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return {(c["set"], c["kind"], c["temperature"]): c["p80"] for c in cells if c["outcome"] == ALL}
