"""Two tallies paired prompt by prompt: what forbids it, and the differences with their tests."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from lrmctl.comparison.tally import MAIN, STANDS_FOR, Evaluated, PromptScores, SliceKey
from lrmctl.errors import LrmctlError
from lrmctl.types import Kind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

Test = Literal["mcnemar", "permutation"]
ALLOWED = ("prompts", "reference", "samples", "sampling", "decoding", "system", "template_args", "judge")
"""Differences that are refused, and that the user may allow."""


@dataclass(frozen=True)
class Delta:
    """How `b` differs from `a` on one metric of one set at one temperature.

    Attributes:
        prompts: prompts that count on both sides; `left_out` lack a verdict or a completion on at least one.
        samples: the most samples a prompt has.
        a, b: mean over prompts of each prompt's mean over samples; `delta` is b - a, `low` and `high` its 95 %
            bootstrap interval over prompts.
        p: two-sided, not adjusted; `test` is exact McNemar for one yes-or-no sample a prompt, else the sign-flip
            permutation test.
        p_holm: `p` adjusted (Holm) for the family of main metrics, one per set, kind and temperature; None for others.
        wins, losses, ties: prompts on which b is better than, worse than, and equal to a.
        needed: prompts at which a difference like this one would be detected in 80 % of cases; None without one.
    """

    set: str
    kind: Kind
    temperature: float
    metric: str
    prompts: int
    left_out: int
    samples: int
    a: float
    b: float
    delta: float
    low: float
    high: float
    p: float
    wins: int
    losses: int
    ties: int
    judge: str
    test: Test = "permutation"
    p_holm: float | None = None
    needed: int | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class PairingObstacle(NamedTuple):
    """A reason why two tallies should not be paired; `key` is what the user may allow."""

    key: str
    reason: str


def pair(
    a: Evaluated,
    b: Evaluated,
    *,
    names: tuple[str, str] = ("a", "b"),
    allow: Collection[str] = (),
    metrics: Collection[str] | None = None,
) -> list[Delta]:
    """Paired differences from `a` to `b`, for every set, kind and temperature that both have.

    Args:
        names: what errors call the two sides.
        allow: differences that are wanted, of `ALLOWED`; with `prompts`, only those alike on both sides are paired.
        metrics: names of what is paired; the main ones by default.

    Raises:
        LrmctlError: they share no set, or differ so that pairing would mislead.
    """
    shared = sorted(a.keys() & b.keys())
    if not shared:
        raise LrmctlError(
            "the two evaluations have no set and temperature in common",
            where=" and ".join(names),
            fix=f"evaluate both with one recipe; sets: {_listed(a)} | {_listed(b)}",
        )
    for where in shared:
        refuse(_place(where), [u for u in unlike(a[where], b[where]) if u.key not in allow], names)
    return adjusted([d for where in shared for d in _deltas(where, a[where], b[where], metrics)])


def refuse(place: str, found: Sequence[PairingObstacle], names: tuple[str, str]) -> None:
    """Say why `place` is not paired.

    Raises:
        LrmctlError: anything was found.
    """
    if found:
        keys = " ".join(f"--allow {key}" for key in dict.fromkeys(u.key for u in found))
        raise LrmctlError(
            f"cannot pair {place}: {'; '.join(u.reason for u in found)}",
            where=" and ".join(names),
            fix=f"evaluate both with one recipe; or, if the difference is what you want to see, {keys}",
        )


def unlike(a: PromptScores, b: PromptScores) -> Iterator[PairingObstacle]:
    """What differs between two tallies of one set that makes pairing them misleading."""
    both = a.index.keys() & b.index.keys()
    only = len(a.index.keys() ^ b.index.keys())
    changed = sum(a.texts[a.index[p]] != b.texts[b.index[p]] for p in both)
    if only or changed:
        reason = f"the prompts differ ({only} are on one side only, {changed} have another text)"
        yield PairingObstacle("prompts", reason)
    if golds := sum(a.references[a.index[p]] != b.references[b.index[p]] for p in both):
        yield PairingObstacle("reference", f"the gold answers of {golds} prompts differ")
    here, there = a.counts, b.counts
    if any(here[a.index[p]] != there[b.index[p]] for p in both):
        reason = f"the samples per prompt differ ({a.samples} and {b.samples}), or one side is incomplete"
        yield PairingObstacle("samples", reason)
    if a.judges != b.judges:
        yield PairingObstacle("judge", f"the judges differ ({a.judge or 'none'} and {b.judge or 'none'})")


def places(a: PromptScores, b: PromptScores) -> tuple[list[str], list[int], list[int]]:
    """The prompts that both sides have with one text: their ids, and their places in `a` and in `b`."""
    ids = [p for p, i in a.index.items() if p in b.index and a.texts[i] == b.texts[b.index[p]]]
    return ids, [a.index[p] for p in ids], [b.index[p] for p in ids]


def lower_is_better(kind: Kind, metric: str) -> bool:
    """Whether less of a metric is what one wants; of lengths, which are neither, more counts as a win."""
    name = metric.partition("@")[0].removesuffix("_corrected")
    bad = name.endswith(("unsafe", "malformed", "_failed")) or name in _BAD
    return bad or (kind == "benign" and name in ("refused", "full_refusal", "partial_refusal"))


_BAD = ("unclosed", "cut", "attack_success", "strongreject_score")


def adjusted(deltas: Sequence[Delta]) -> list[Delta]:
    """The same with Holm's p over the family of main metrics."""
    from lrmctl.stats import holm

    family = main_places(deltas)
    found = dict(zip(family, holm([deltas[i].p for i in family]), strict=True))
    return [replace(d, p_holm=found.get(i)) for i, d in enumerate(deltas)]


def main_metric(kind: Kind) -> str:
    """The one metric that stands for a prompt kind."""
    return MAIN[kind][0]


def main_places(deltas: Sequence[Any], of: Callable[[Any], Any] = lambda _: None) -> list[int]:
    """Where the difference that stands for its set is, for each set: that of the kind's main metric, or of the answer
    alone where no judge read the thinking.

    Args:
        of: what besides set, kind and temperature tells differences apart.
    """
    found: dict[Any, tuple[int, int]] = {}
    for i, d in enumerate(deltas):
        if d.metric in STANDS_FOR[d.kind]:
            rank, key = STANDS_FOR[d.kind].index(d.metric), (d.set, d.kind, d.temperature, of(d))
            found[key] = min(found.get(key, (rank, i)), (rank, i))
    return sorted(i for _, i in found.values())


def main_deltas(deltas: Sequence[Delta]) -> list[Delta]:
    """Only the difference that stands for each set."""
    return [deltas[i] for i in main_places(deltas)]


def _listed(evaluated: Evaluated) -> str:
    return ", ".join(f"{w.set} at {w.temperature:g}" for w in sorted(evaluated)) or "none"


def _place(where: SliceKey) -> str:
    return f"{where.set} at temperature {where.temperature:g}"


def _deltas(where: SliceKey, a: PromptScores, b: PromptScores, metrics: Collection[str] | None) -> Iterator[Delta]:
    _, here, there = places(a, b)
    for name in MAIN[a.kind] if metrics is None else [m for m in a.values if m in metrics]:
        if name in a.values and name in b.values:
            yield from _delta(where, name, (a.means(name)[here], b.means(name)[there]), a, b)


def _delta(
    where: SliceKey, metric: str, means: tuple[Vector, Vector], a: PromptScores, b: PromptScores
) -> Iterator[Delta]:
    """One difference, or none where no prompt counts on both sides."""
    import numpy as np

    from lrmctl.stats import paired_delta, prompts_needed

    both = ~np.isnan(means[0]) & ~np.isnan(means[1])
    x, y = means[0][both], means[1][both]
    if not x.size:
        return
    found, gain = paired_delta(x, y), (x - y if lower_is_better(where.kind, metric) else y - x)
    test, p = _test(x, y, max(a.samples, b.samples), found.p)
    yield Delta(
        **where._asdict(),
        metric=metric,
        prompts=int(x.size),
        left_out=len(a.index.keys() | b.index.keys()) - int(x.size),
        samples=max(a.samples, b.samples),
        a=float(x.mean()),
        b=float(y.mean()),
        **{**found._asdict(), "p": p},
        wins=int((gain > 0).sum()),
        losses=int((gain < 0).sum()),
        ties=int((gain == 0).sum()),
        judge=a.judge if a.judges == b.judges else f"{a.judge} | {b.judge}",
        test=test,
        needed=prompts_needed(y - x),
    )


def _test(x: Vector, y: Vector, samples: int, permuted: float) -> tuple[Test, float]:
    import numpy as np

    from lrmctl.stats import mcnemar_p

    if samples == 1 and np.isin(x, (0.0, 1.0)).all() and np.isin(y, (0.0, 1.0)).all():
        return "mcnemar", mcnemar_p(x > 0.5, y > 0.5)
    return "permutation", permuted
