"""Two trainings side by side: settings, versions, data, models, and where their curves part. Knows no evaluation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrmctl.recipe.diff import RecipeDifference, diff, side_of_run
from lrmctl.runs.damage import read_object
from lrmctl.runs.folder import RunFolder
from lrmctl.runs.jsonl import read_jsonl

_OF_THE_RECIPE = ("recipe", "recipe_sha256", "recipe_file", "recipe_on", "sets")
_NOT_METRICS = ("step", "total")
Curve = Mapping[int, float]


@dataclass(frozen=True)
class FactDifference:
    """A fact of the lock files that differs, such as a version or a fingerprint; None where a run has none."""

    key: str
    a: Any
    b: Any


@dataclass(frozen=True)
class CurveEnds:
    """One metric of one run.

    Attributes:
        last: at the last step that has it.
        best: highest for rewards, lowest for losses; None for metrics that have no better side.
        best_step: where that was first.
    """

    last: float
    last_step: int
    best: float | None
    best_step: int | None


@dataclass(frozen=True)
class CurveDifference:
    """One metric of both runs.

    Attributes:
        a, b: None where a run does not have it.
        widest_step: the common step at which they differ most; None if no step is common.
        widest_a, widest_b: the values there.
    """

    metric: str
    a: CurveEnds | None
    b: CurveEnds | None
    widest_step: int | None = None
    widest_a: float | None = None
    widest_b: float | None = None


@dataclass(frozen=True)
class RunDiff:
    """Everything that differs, and every curve.

    Attributes:
        settings: of the resolved recipes.
        facts: of the lock files besides the recipe: versions, plugins, data, model.
        steps: last step and planned steps of each run; None if not known.
    """

    settings: list[RecipeDifference]
    facts: list[FactDifference]
    steps: tuple[tuple[int | None, int | None], tuple[int | None, int | None]]
    curves: list[CurveDifference]

    @property
    def same(self) -> bool:
        """Whether both were trained alike, whatever their curves did."""
        return not self.settings and not self.facts


def run_diff(a: Path, b: Path) -> RunDiff:
    """Compare two run folders.

    Raises:
        NotFoundError: one has no locked recipe.
        DamagedError: a file of one is not what lrmctl wrote.
    """
    settings = [d for d in diff(side_of_run(a, a.name), side_of_run(b, b.name)) if d.key != "name"]
    locks = [dict(_flat(read_object(RunFolder(path).lock))) for path in (a, b)]
    keys = [key for key in dict.fromkeys((*locks[0], *locks[1])) if locks[0].get(key) != locks[1].get(key)]
    facts = [FactDifference(key, locks[0].get(key), locks[1].get(key)) for key in keys]
    curves = [_curves(RunFolder(path)) for path in (a, b)]
    names = dict.fromkeys((*curves[0], *curves[1]))
    found = [_difference(name, curves[0].get(name, {}), curves[1].get(name, {})) for name in names]
    return RunDiff(settings, facts, (_steps(RunFolder(a)), _steps(RunFolder(b))), found)


def _flat(value: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        if not before and key in _OF_THE_RECIPE:
            continue
        name = f"{before}{key}"
        if isinstance(inner, Mapping):
            yield from _flat(inner, f"{name}.")
        else:
            yield name, inner


def _curves(run: RunFolder) -> dict[str, dict[int, float]]:
    """Each metric by step; a resumed run's later row of a step counts."""
    found: dict[str, dict[int, float]] = {}
    for row in read_jsonl(run.metrics):
        for name, value in row.items():
            if name in _NOT_METRICS or isinstance(value, bool) or not isinstance(value, (int, float)):
                continue
            if math.isfinite(value):
                found.setdefault(name, {})[int(row["step"])] = float(value)
    return found


def _steps(run: RunFolder) -> tuple[int | None, int | None]:
    rows = list(read_jsonl(run.metrics))
    return (int(rows[-1]["step"]), rows[-1].get("total")) if rows else (None, run.status().get("steps"))


def _difference(name: str, a: Curve, b: Curve) -> CurveDifference:
    common = sorted(a.keys() & b.keys())
    widest = max(common, key=lambda step: abs(a[step] - b[step]), default=None)
    if widest is None:
        return CurveDifference(name, _ends(name, a), _ends(name, b))
    return CurveDifference(name, _ends(name, a), _ends(name, b), widest, a[widest], b[widest])


def _ends(name: str, curve: Curve) -> CurveEnds | None:
    if not curve:
        return None
    last = max(curve)
    better = max if name.split("/")[0] == "reward" else min if name.rpartition("/")[2].endswith("loss") else None
    best = None if better is None else better(sorted(curve), key=lambda step: curve[step])
    return CurveEnds(curve[last], last, None if best is None else curve[best], best)
