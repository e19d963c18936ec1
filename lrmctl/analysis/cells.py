"""How traces are split for analysis: by set, temperature and what became of them, with intervals over prompts.

Shared by every analysis, so that their tables have the same rows. Knows no lexicon and no model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from lrmctl.runs.eval_rows import EvalRow

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ALL = "all"
_RESAMPLES = 2_000
_SEED = 20240229
T = TypeVar("T")


class Cell(NamedTuple):
    """One row of an analysis table; `outcome` is `all` for everything in the set at that temperature."""

    set: str
    kind: str
    temperature: float
    outcome: str


class Estimate(NamedTuple):
    """A figure with its 95 % interval over `n` prompts."""

    value: float
    low: float
    high: float
    n: int

    def to_json(self) -> dict[str, float | int | None]:
        """NaN (nothing to estimate from) becomes null, which JSON can carry."""
        fields = self._asdict()
        return {key: None if x != x else x for key, x in fields.items()}


def outcome_of(row: EvalRow) -> str:
    """`correct` or `incorrect` for reasoning; else the outcome of what was judged: of thinking and answer, or of the
    answer alone."""
    if row.correct is not None:
        return "correct" if row.correct else "incorrect"
    return row.judged_outcome or "failed"


def group(items: Iterable[tuple[EvalRow, T]]) -> Iterator[tuple[Cell, list[tuple[EvalRow, T]]]]:
    """Every item twice: in the cell of its outcome and in its set's `all` cell; cells in sorted order."""
    cells: dict[Cell, list[tuple[EvalRow, T]]] = {}
    for row, item in items:
        for outcome in (ALL, outcome_of(row)):
            cell = Cell(row.set, row.trace.prompt.kind, row.temperature, outcome)
            cells.setdefault(cell, []).append((row, item))
    yield from sorted(cells.items(), key=lambda pair: pair[0])


def ratio(prompts: Sequence[str], numerators: Sequence[float], denominators: Sequence[float]) -> Estimate:
    """sum(numerators) / sum(denominators) with a percentile bootstrap interval that resamples prompts.

    Args:
        prompts: [traces], the prompt each trace answers; traces of one prompt stay together.
        numerators, denominators: [traces], e.g. hits and tokens.

    Returns:
        The pooled ratio; NaN throughout if the denominators sum to 0, NaN bounds if there is one prompt only.
    """
    import numpy as np

    num, den = _per_prompt(prompts, numerators), _per_prompt(prompts, denominators)
    n = int(num.size)
    if not den.sum():
        return Estimate(float("nan"), float("nan"), float("nan"), n)
    value = float(num.sum() / den.sum())
    if n < 2:
        return Estimate(value, float("nan"), float("nan"), n)
    # A resample is how often each prompt is drawn; one product with the sums then gives every resampled ratio.
    draws = _draws(n)
    bottom = draws @ den
    ratios = (draws @ num)[bottom > 0] / bottom[bottom > 0]
    low, high = np.percentile(ratios, [2.5, 97.5])
    return Estimate(value, float(low), float(high), n)


def share(prompts: Sequence[str], yes: Sequence[bool]) -> Estimate:
    """Share of traces that are so. A share of 0 or 1 tells a bootstrap nothing and gets Wilson's interval."""
    import numpy as np

    from lrmctl.stats import interval

    found = ratio(prompts, yes, [1.0] * len(yes))
    if found.value not in (0.0, 1.0):
        return found
    low, high = interval(np.full(found.n, found.value), 1)
    return found._replace(low=low, high=high)


def quantile(prompts: Sequence[str], values: Sequence[float], q: float) -> Estimate:
    """The smallest value that a share `q` of the traces does not exceed, with the interval of `ratio`.

    Args:
        prompts, values: [traces], as for `ratio`.
        q: above 0 and at most 1; 0.5 is the median.

    Returns:
        NaN throughout without values, NaN bounds if there is one prompt only.
    """
    import numpy as np

    index: dict[str, int] = {}
    where = np.asarray([index.setdefault(prompt, len(index)) for prompt in prompts], dtype=np.int64)
    n = len(index)
    if not n:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    order = np.argsort(np.asarray(values, dtype=np.float64), kind="stable")
    ascending, where = np.asarray(values, dtype=np.float64)[order], where[order]
    value = float(ascending[_place(np.ones(len(where), dtype=np.int64), q)])
    if n < 2:
        return Estimate(value, float("nan"), float("nan"), n)
    found = [ascending[_place(drawn[where], q)] for drawn in _draws(n)]
    low, high = np.percentile(found, [2.5, 97.5])
    return Estimate(value, float(low), float(high), n)


def _place(counts: NDArray[np.int64], q: float) -> int:
    """Index of the q-quantile of ascending values, each taken as often as `counts` says: [values]."""
    reached = counts.cumsum()
    return int(reached.searchsorted(q * reached[-1]))


@lru_cache(maxsize=4)
def _draws(n: int) -> NDArray[np.int64]:
    """How often each of `n` prompts is drawn in each resample: [resamples, n]. The same for every figure of a cell."""
    import numpy as np

    return np.random.default_rng(_SEED).multinomial(n, np.full(n, 1 / n), size=_RESAMPLES)


def _per_prompt(prompts: Sequence[str], values: Sequence[float]) -> NDArray[np.float64]:
    """Sums per prompt: [prompts], in order of first appearance."""
    import numpy as np

    index: dict[str, int] = {}
    where = [index.setdefault(prompt, len(index)) for prompt in prompts]
    sums: NDArray[np.float64] = np.zeros(len(index))
    np.add.at(sums, where, np.asarray(values, dtype=np.float64))
    return sums
