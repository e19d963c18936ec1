"""All metrics of one set, kind and temperature."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from lrmctl.metrics.estimate import NOTHING, of_samples, spread
from lrmctl.metrics.judge_correction import corrected
from lrmctl.metrics.per_prompt import at_k
from lrmctl.metrics.per_row import METRICS, TOKENS, Metric
from lrmctl.metrics.table import MetricTable
from lrmctl.runs.eval_rows import EvalRow

if TYPE_CHECKING:
    from lrmctl.recipe.schema.evaluation import JudgeAccuracySection


def summarize(
    rows: Iterable[EvalRow], samples: int = 1, measured: JudgeAccuracySection | None = None
) -> dict[str, dict[str, Any]]:
    """Every metric of the rows' kind with its 95 % interval over prompts.

    Args:
        rows: of one set, kind and temperature, ordered by prompt, then sample; read once, texts are not kept.
        samples: requested per prompt. A prompt with fewer counts with what it has, and not at @K.
        measured: the judge's measured error rates; its rates are then corrected as well.

    Returns:
        name -> {"value", "low", "high", "n"}: mean over prompts of each prompt's mean, and how many prompts count; the
        first three are None if none does. If samples count individually, "samples" says how many; lengths have "median"
        and "p95", over samples.
    """
    rows = iter(rows)
    first = next(rows, None)
    if first is None:
        return {}
    kind = first.trace.prompt.kind
    table = MetricTable(chain((first,), rows), METRICS[kind], samples)
    found = {name: _figure(table, name) for name in METRICS[kind]}
    found |= {name: _figure(table, name) for name in table.extra}
    found |= dict(at_k(table, kind))
    if measured is not None and kind == "harmful":
        found |= dict(corrected(table, measured))
    return found


def per_prompt(rows: Sequence[EvalRow], samples: int, metric: Metric) -> Any:
    """Each prompt's mean over its samples that count, `[prompts]` float64; NaN if none does."""
    from lrmctl.stats import prompt_means

    return prompt_means(MetricTable(rows, {"metric": metric}, samples).matrix("metric"))


def _figure(table: MetricTable, name: str) -> dict[str, Any]:
    matrix = table.matrix(name)
    found = of_samples(matrix)
    if not found["n"]:
        return dict(NOTHING)
    return {**found, **spread(matrix)} if name in TOKENS else found
