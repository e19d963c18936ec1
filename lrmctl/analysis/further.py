"""Analyses that plugins bring (`analysis.also`): one that fails leaves a file that says so, and the others go on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from lrmctl.analysis.base import Analysis, Better, Figure, Findings
from lrmctl.errors import LrmctlError
from lrmctl.hooks import registry
from lrmctl.hooks.adapt import adapted_to
from lrmctl.hooks.manager import PluginEntry
from lrmctl.recipe.schema.analysis import file_name
from lrmctl.recipe.schema.sections import Use
from lrmctl.runs.eval_rows import EvalRow, eval_folder_of, read_rows, rows_digest

FORMAT = 1


@dataclass(frozen=True)
class FurtherAnalysis:
    """An analysis that a recipe names, made and not yet run."""

    use: Use
    entry: PluginEntry
    analysis: Analysis

    @property
    def file(self) -> str:
        """Its file in `analysis/`, without the suffix."""
        return file_name(self.use.use)


def further_analyses(uses: Sequence[Use]) -> list[FurtherAnalysis]:
    """The analyses that `analysis.also` names, made before anything is computed.

    Raises:
        NotFoundError: an unknown name.
        RecipeError: options that it does not take.
        PluginError: it cannot be made, or is no analysis.
    """
    found = []
    for use in uses:
        entry = registry.check("analysis", use.use, use.options)
        made = registry.make("analysis", use.use, **use.options)
        found.append(FurtherAnalysis(use, entry, adapted_to(Analysis, ("analyze",), made, "analysis")))
    return found


def findings_of(further: FurtherAnalysis, rows: Sequence[EvalRow], base_dir: Path | None) -> dict[str, Any]:
    """The content of its file: `{"format", "analysis", "options", "distribution", "version", "cells", "data",
    "error"}`.

    A cell has `set`, `kind`, `temperature`, `outcome`, `figure`, `value`, `low`, `high`, `n`, `unit` and `better`. What
    the analysis raises, or gives and cannot be stored, is `error`; there are no cells then.

    Args:
        base_dir: run folder of the base, if there is one.
    """
    found: dict[str, Any] = {
        "format": FORMAT,
        "analysis": further.use.use,
        "options": dict(further.use.options),
        "distribution": further.entry.distribution,
        "version": further.entry.version,
    }
    try:
        base = None
        if further.analysis.reads_base and base_dir is not None:
            file = eval_folder_of(base_dir) / "rows.jsonl"
            base, found["base_rows_sha256"] = tuple(read_rows(file)), rows_digest(file)
        return {**found, **_stored(further.analysis.analyze(tuple(rows), base)), "error": ""}
    except LrmctlError as error:
        told = " ".join(filter(None, (error.what, error.fix and f"({error.fix})")))
    except (Exception, SystemExit) as error:  # a plugin may raise anything
        told = f"{type(error).__name__}: {error}"
    return {**found, "cells": [], "data": {}, "error": told}


def _stored(found: Findings) -> dict[str, Any]:
    """Findings as JSON.

    Raises:
        TypeError, ValueError: they are no findings, or cannot be written as JSON.
    """
    if not isinstance(found, Findings):
        raise TypeError(f"an analysis gives lrmctl.analysis.Findings, not {type(found).__name__}")
    stored = {"cells": [_cell(figure) for figure in found.figures], "data": dict(found.data)}
    json.dumps(stored, allow_nan=False)
    return stored


def _cell(figure: Figure) -> Mapping[str, Any]:
    if not isinstance(figure, Figure):
        raise TypeError(f"a figure is a lrmctl.analysis.Figure, not {type(figure).__name__}")
    if figure.better not in get_args(Better):
        raise ValueError(f"`better` of {figure.name!r} is {figure.better!r}, not one of {', '.join(get_args(Better))}")
    where, told = figure.cell, figure.estimate
    numbers = told._replace(value=float(told.value), low=float(told.low), high=float(told.high), n=int(told.n))
    return {
        "set": str(where.set),
        "kind": str(where.kind),
        "temperature": float(where.temperature),
        "outcome": str(where.outcome),
        "figure": str(figure.name),
        **numbers.to_json(),
        "unit": str(figure.unit),
        "better": figure.better,
    }
