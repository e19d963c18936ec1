"""A study's arms over several bases and training seeds: does an effect hold, on which bases, and how much does it vary?

Each arm is compared with its base, and with the arm that its training started from where that is another. The unit is
the prompt; training seeds are drawn too (`stats.hierarchical_delta`). Bases are the ones that the study names: the
figures speak about them and not about all models.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lrmctl.comparison.pairing import lower_is_better, main_places, places, unlike
from lrmctl.comparison.study_cells import CellScores, cell_scores
from lrmctl.comparison.tally import MAIN, SliceKey
from lrmctl.runs.study_cells import BASE, StudyCell
from lrmctl.types import Kind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class BaseDelta:
    """An arm against its reference on one base, over its training seeds.

    Attributes:
        seeds: training seeds that were compared; `prompts` that count with at least one of them.
        delta, low, high: mean difference and its 95 % interval; `p` two-sided, `p_holm` over arms and bases.
    """

    base: str
    seeds: int
    prompts: int
    delta: float
    low: float
    high: float
    p: float
    p_holm: float | None = None


@dataclass(frozen=True)
class AcrossDelta:
    """An arm against its reference on one metric of one set, over all bases and training seeds.

    Attributes:
        reference: the arm that it is compared with on the same base and seed; `base` is the untrained model.
        bases: each base by itself.
        delta, low, high, p: mean over bases; `p_holm` is adjusted over the arms and sets of the main metrics, None for
            other metrics.
        better, worse: bases whose own interval lies wholly on that side of 0, by the metric's direction.
        between_bases, between_seeds: standard deviations of the difference; None where there is only one.
        prompt_error: standard error over prompts.
        judge: of every cell that was compared.
        missing: cells of this arm that could not be compared.
    """

    arm: str
    label: str
    control: bool
    reference: str
    set: str
    kind: Kind
    temperature: float
    metric: str
    bases: tuple[BaseDelta, ...]
    delta: float
    low: float
    high: float
    p: float
    better: int
    worse: int
    between_bases: float | None
    between_seeds: float | None
    prompt_error: float | None
    judge: str
    missing: int
    p_holm: float | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class AcrossCells(NamedTuple):
    """The differences of a study, and the reasons why cells were left out."""

    deltas: Sequence[AcrossDelta]
    left_out: Sequence[str]


def compare_across(study: Path, *, metrics: Collection[str] | None = None) -> AcrossCells:
    """Compare the arms of a study over its bases and training seeds.

    Args:
        study: the study's folder.
        metrics: names of what is compared; the main ones by default.

    Raises:
        DamagedError: a file of the study is not what lrmctl wrote.
    """
    cells = [found for found in cell_scores(study, every=metrics is not None) if not found.cell.intermediate]
    notes = [f"{c.cell.path}: {c.cell.hole.splitlines()[0]}" for c in cells if not c.scores]
    deltas = [delta for group in _groups(cells) for delta in _deltas(group, metrics, notes)]
    return AcrossCells(_adjusted(deltas), notes)


class _Pairs(NamedTuple):
    """One arm with the cells that it is compared with."""

    arm: str
    reference: str
    pairs: Sequence[tuple[CellScores, CellScores]]
    missing: int


def _groups(cells: Sequence[CellScores]) -> Iterator[_Pairs]:
    """Each arm with its base, and with the arm that it started from."""
    by_place = {(c.cell.base, None if c.cell.arm == BASE else c.cell.seed, c.cell.arm): c for c in cells}
    arms: dict[str, list[CellScores]] = {}
    for found in cells:
        if found.cell.arm != BASE:
            arms.setdefault(found.cell.arm, []).append(found)
    for arm, own in arms.items():
        for reference in dict.fromkeys((BASE, own[0].cell.start or BASE)):
            others = [by_place.get((c.cell.base, _seed(c.cell, reference), reference)) for c in own]
            pairs = [(o, c) for o, c in zip(others, own, strict=True) if o is not None and o.scores and c.scores]
            if pairs or any(o is not None for o in others):
                yield _Pairs(arm, reference, pairs, len(own) - len(pairs))


def _seed(cell: StudyCell, reference: str) -> int | None:
    return None if reference == BASE else cell.seed


def _deltas(group: _Pairs, metrics: Collection[str] | None, notes: list[str]) -> Iterator[AcrossDelta]:
    order = list(MAIN)
    keys = sorted(
        {key for a, b in group.pairs for key in a.scores.keys() & b.scores.keys()},
        key=lambda k: (order.index(k.kind), k),
    )
    for key in keys:
        pairs = list(_comparable(group.pairs, key, notes))
        names = MAIN[key.kind] if metrics is None else sorted(metrics)
        for metric in names:
            if delta := _delta(group, pairs, key, metric):
                yield delta


def _comparable(
    pairs: Sequence[tuple[CellScores, CellScores]], key: SliceKey, notes: list[str]
) -> Iterator[tuple[CellScores, CellScores]]:
    """The pairs that saw the same prompts, as often and with the same judge; a note for each of the others."""
    for a, b in pairs:
        if key not in a.scores or key not in b.scores:
            continue
        if found := list(unlike(a.scores[key], b.scores[key])):
            why = "; ".join(obstacle.reason for obstacle in found)
            notes.append(f"{b.cell.path}: not compared with {a.cell.path} on {key.set}: {why}")
            continue
        yield a, b


def _delta(
    group: _Pairs, pairs: Sequence[tuple[CellScores, CellScores]], key: SliceKey, metric: str
) -> AcrossDelta | None:
    from lrmctl.stats import hierarchical_delta, spread

    by_base = _matrices(pairs, key, metric)
    if not by_base:
        return None
    bases = tuple(_base_delta(base, matrix) for base, matrix in by_base.items())
    found, varies = hierarchical_delta(list(by_base.values())), spread(list(by_base.values()))
    sign = -1 if lower_is_better(key.kind, metric) else 1
    own = group.pairs[0][1].cell
    judges = {side.scores[key].judge for pair in pairs for side in pair} - {""}
    return AcrossDelta(
        arm=group.arm,
        label=own.label or group.arm,
        control=own.control,
        reference=group.reference,
        **key._asdict(),
        metric=metric,
        bases=bases,
        **found._asdict(),
        better=sum(min(sign * b.low, sign * b.high) > 0 for b in bases),
        worse=sum(max(sign * b.low, sign * b.high) < 0 for b in bases),
        between_bases=_or_none(varies.bases),
        between_seeds=_or_none(varies.seeds),
        prompt_error=_or_none(varies.prompts),
        judge=", ".join(sorted(judges)),
        missing=group.missing + len(group.pairs) - len(pairs),
    )


def _matrices(pairs: Sequence[tuple[CellScores, CellScores]], key: SliceKey, metric: str) -> dict[str, Matrix]:
    """The differences by base, [seeds, prompts], prompts in one order; bases without any are left out."""
    import numpy as np

    order: dict[str, int] = {}
    rows: dict[str, list[dict[str, float]]] = {}
    for a, b in pairs:
        if metric not in a.scores[key].values or metric not in b.scores[key].values:
            continue
        ids, here, there = places(a.scores[key], b.scores[key])
        difference = b.scores[key].means(metric)[there] - a.scores[key].means(metric)[here]
        for prompt in ids:
            order.setdefault(prompt, len(order))
        rows.setdefault(b.cell.base, []).append(dict(zip(ids, difference.tolist(), strict=True)))
    found = {}
    for base, seeds in rows.items():
        matrix = np.full((len(seeds), len(order)), np.nan)
        for i, values in enumerate(seeds):
            matrix[i, [order[prompt] for prompt in values]] = list(values.values())
        if not np.isnan(matrix).all():
            found[base] = matrix
    return found


def _base_delta(base: str, matrix: Matrix) -> BaseDelta:
    import numpy as np

    from lrmctl.stats import hierarchical_delta

    counted = ~np.isnan(matrix)
    return BaseDelta(
        base,
        int(counted.any(axis=1).sum()),
        int(counted.any(axis=0).sum()),
        **hierarchical_delta([matrix[counted.any(axis=1)]])._asdict(),
    )


def _adjusted(deltas: Sequence[AcrossDelta]) -> list[AcrossDelta]:
    """The same with Holm's p: over arms and sets for the means, over arms, sets and bases for single bases."""
    from lrmctl.stats import holm

    family = main_places(deltas, of=lambda d: (d.arm, d.reference))
    means = dict(zip(family, holm([deltas[i].p for i in family]), strict=True))
    places_ = [(i, j) for i in family for j in range(len(deltas[i].bases))]
    single = dict(zip(places_, holm([deltas[i].bases[j].p for i, j in places_]), strict=True))
    return [
        replace(
            d,
            p_holm=means.get(i),
            bases=tuple(replace(b, p_holm=single.get((i, j))) for j, b in enumerate(d.bases)),
        )
        for i, d in enumerate(deltas)
    ]


def _or_none(value: float) -> float | None:
    return None if value != value else value
