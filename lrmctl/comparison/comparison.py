"""A whole comparison of two evaluation folders: differences, figures beside them, flips, settings."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrmctl._util.suggest import did_you_mean
from lrmctl.comparison.flips import Flip, flips
from lrmctl.comparison.pairing import ALLOWED, Delta, pair, refuse, unlike
from lrmctl.comparison.questions import Question, answer_questions
from lrmctl.comparison.settings import SettingDifference, differences, read_json
from lrmctl.comparison.tally import Evaluated, SliceKey, tally
from lrmctl.errors import LrmctlError
from lrmctl.metrics import METRICS
from lrmctl.runs.damage import part_of
from lrmctl.runs.eval_rows import eval_folder_of, eval_rows
from lrmctl.runs.same_judge import same_judge
from lrmctl.types import Kind


@dataclass(frozen=True)
class ComparedEvaluation:
    """One evaluation: the name that the user knows it by, its folder, and what was evaluated.

    Attributes:
        start: what its training started from: the base and every earlier training, e.g. `lab:tiny, then sft`; empty
            where nobody wrote it down.
    """

    name: str
    folder: Path
    model: str = ""
    label: str = ""
    fingerprint: str = ""
    start: str = ""

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "folder": str(self.folder)}


@dataclass(frozen=True)
class Diagnostics:
    """Figures of both sides that say whether a difference can be believed; None where nothing counts."""

    set: str
    kind: Kind
    temperature: float
    a: dict[str, float | None]
    b: dict[str, float | None]


@dataclass(frozen=True)
class Comparison:
    """`b` against `a`.

    Attributes:
        differences: settings that the two do not share.
        allowed: sentences about differences that would have been refused, had the user not allowed them.
        unpaired: sets and temperatures that only one side has.
        cautions: sentences about sides that were rewarded by the judge that evaluates them.
        questions: how the reasoning changed, where both were analysed.
    """

    a: ComparedEvaluation
    b: ComparedEvaluation
    deltas: Sequence[Delta]
    beside: Sequence[Diagnostics]
    flips: Sequence[Flip]
    differences: Sequence[SettingDifference]
    allowed: Sequence[str]
    unpaired: Sequence[str]
    cautions: Sequence[str] = ()
    questions: Sequence[Question] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "a": self.a.to_json(),
            "b": self.b.to_json(),
            "deltas": [d.to_json() for d in self.deltas],
            "holm_family": "the main metric of each set, kind of prompt and temperature",
            "beside": [vars(one) for one in self.beside],
            "flips": [f.to_json() for f in self.flips],
            "differences": [d._asdict() for d in self.differences],
            "allowed": list(self.allowed),
            "unpaired": list(self.unpaired),
            "cautions": list(self.cautions),
            "questions": [one.to_json() for one in self.questions],
        }


def compare(a: Path, b: Path, *, allow: Collection[str] = (), metrics: Collection[str] | None = None) -> list[Delta]:
    """Paired differences from `a` to `b`, for every set, kind of prompt and temperature that both have.

    Args:
        a, b: evaluation folders, with `rows.jsonl` and `summary.json`, or run folders, whose `eval` is taken.
        allow: differences that are wanted, of `ALLOWED`.
        metrics: names of what is paired; the main ones by default.

    Raises:
        NotFoundError: one of the folders was not evaluated.
        LrmctlError: they share no set, or prompts, sampling or judges differ, so that pairing would mislead.
    """
    (found,) = compare_all([(str(a), a), (str(b), b)], allow=allow, metrics=metrics)
    return list(found.deltas)


def compare_all(
    runs: Sequence[tuple[str, Path]], *, allow: Collection[str] = (), metrics: Collection[str] | None = None
) -> Iterator[Comparison]:
    """Each run but the first against the first; at most two tallies are in memory.

    Args:
        runs: name and folder of each, the baseline first.

    Raises:
        NotFoundError, LrmctlError: as `compare`; nothing to compare with, or an unknown word in `allow` or `metrics`.
    """
    _known(allow, ALLOWED, "--allow")
    _known(metrics or (), {name for of_kind in METRICS.values() for name in of_kind}, "--metric")
    sides = [_side(name, eval_folder_of(path)) for name, path in runs]
    base, *others = sides
    for other in others:  # before millions of rows are read
        _refuse_settings(base, other, allow)
    first = tally(eval_rows(base.folder / "rows.jsonl"), every=metrics is not None)
    for other in others:
        yield _compared(base, first, other, allow, metrics)


def _known(given: Collection[str], known: Collection[str], option: str) -> None:
    for word in given:
        if word not in known:
            raise LrmctlError(f"there is no {word!r}", option, did_you_mean(word, known))


def _side(name: str, folder: Path) -> ComparedEvaluation:
    summary = read_json(folder / "summary.json")
    model, label, fingerprint = (str(summary.get(key, "")) for key in ("model", "label", "fingerprint"))
    return ComparedEvaluation(name, folder, model, label, fingerprint, _start(folder.parent))


def _start(run: Path) -> str:
    """What a run's training started from, as its lock says."""
    file = run / "lock.json"
    with part_of(file):
        lineage = read_json(file).get("lineage") or {}
        stages = [str(stage["run"]) for stage in lineage.get("stages", ())]
        return ", then ".join([str(lineage["base"]["ref"]), *stages]) if lineage else ""


def _refuse_settings(a: ComparedEvaluation, b: ComparedEvaluation, allow: Collection[str]) -> None:
    found = [d.unlike() for d in differences(a.folder, b.folder) if d.allow and d.allow not in allow]
    refuse(f"{a.name} with {b.name}", found, (str(a.folder), str(b.folder)))


def _compared(
    base: ComparedEvaluation,
    first: Evaluated,
    other: ComparedEvaluation,
    allow: Collection[str],
    metrics: Collection[str] | None,
) -> Comparison:
    second = tally(eval_rows(other.folder / "rows.jsonl"), every=metrics is not None)
    shared = sorted(first.keys() & second.keys())
    found = differences(base.folder, other.folder)
    names = (str(base.folder), str(other.folder))
    return Comparison(
        base,
        other,
        pair(first, second, names=names, allow=allow, metrics=metrics),
        [Diagnostics(*where, first[where].beside(), second[where].beside()) for where in shared],
        flips(first, second),
        found,
        [*(d.unlike().reason for d in found if d.allow), *_allowed(first, second, shared)],
        [f"{w.set} at {w.temperature:g}" for w in sorted(first.keys() ^ second.keys())],
        [said for side in (base, other) if (said := _same_judge(side))],
        answer_questions(base.folder.parent, other.folder.parent) if _own(base) and _own(other) else (),
    )


def _own(side: ComparedEvaluation) -> bool:
    """Whether it is the run's own evaluation, which is the one that is analysed, and no variant."""
    return side.folder.name == "eval"


def _same_judge(side: ComparedEvaluation) -> str:
    return same_judge(side.folder.parent, read_json(side.folder / "summary.json"), side.name)


def _allowed(a: Evaluated, b: Evaluated, shared: Sequence[SliceKey]) -> Iterator[str]:
    """What `pair` let pass."""
    for where in shared:
        for found in unlike(a[where], b[where]):
            yield f"{where.set} at temperature {where.temperature:g}: {found.reason}"
