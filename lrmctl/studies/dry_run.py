"""What a study will take, before anything runs: cells, completions, judge calls, GPUs and disk, by stage and in all.

The numbers of a training are those of its training plan, as in `lrmctl train --dry-run`, except that rows are counted
before those that are too long are dropped; training seeds do not change them, so each arm is planned once per base.
Hours are those of stages that this study has finished already, with other seeds or before it was stopped, else those of
the token limits at a rate that the user states; without either they are not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl.planning.cost import JudgeTokens, gpu_money, hours_at_rate, judge_money, total
from lrmctl.planning.prices import Prices
from lrmctl.recipe.schema.recipes import SftRecipe
from lrmctl.recipe.schema.study import BASE
from lrmctl.runs.damage import DamagedError, read_object
from lrmctl.runs.study_cells import cell_path
from lrmctl.studies.resources import gpus_of_evaluation

if TYPE_CHECKING:
    from lrmctl.recipe.load import LoadedRecipe
    from lrmctl.recipe.schema.evaluation import EvalSection
    from lrmctl.recipe.schema.recipes import StudyRecipe
    from lrmctl.recipe.schema.study import StudyArm
    from lrmctl.recipe.schema.study_base import StudyBase
    from lrmctl.training.plan import TrainingPlan

NO_HOURS = (
    "not estimated: this study has finished no stage here that would say how fast these models train and generate; "
    "after the first seed, or an hour, ask again, or state --price train_tokens_per_second=N,eval_tokens_per_second=N"
)


@dataclass(frozen=True)
class StageEstimate:
    """One stage of one arm on one base; it runs once per training seed.

    Attributes:
        runs: how often it runs, once per training seed; a base's evaluation once.
        gpus: that one run occupies, on all nodes together; 0 on CPU. Evaluations and analyses use theirs only if the
            machine has any.
        completions: of one run, generated or, in SFT, trained on; None if not known yet.
        judge_calls: of one run, at most; None if not known.
        disk_bytes: of one run, at most: checkpoints and the final model; None if not known, or not a training.
        kept_bytes: of these, what stays when the study is finished.
        seconds: that one run took here, the mean of those that this study has finished; None if it has none.
        notes: what is not known, one sentence each.
        tokens_at_most: of one run, generated or read.
        server_judges: calls and tokens of one run's judges on servers, at most; None if not known.
        rated: `seconds` are an upper bound at a stated rate.
    """

    base: str
    arm: str
    stage: str
    start: str
    runs: int
    gpus: int
    completions: int | None
    judge_calls: int | None
    disk_bytes: int | None = None
    kept_bytes: int | None = None
    seconds: float | None = None
    notes: tuple[str, ...] = ()
    nodes: int = 1
    tokens_at_most: int | None = None
    server_judges: JudgeTokens | None = None
    rated: bool = False


@dataclass(frozen=True)
class Total:
    """A sum over stages; `unknown` of them are not in it."""

    known: int
    unknown: int

    def to_json(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True)
class StudyPlan:
    """The stages of a study, base by base."""

    name: str
    bases: Sequence[str]
    seeds: Sequence[int | None]
    cells: int
    jobs: int
    stages: Sequence[StageEstimate]
    via: str = "local"
    prices: Prices = field(default_factory=Prices)

    @property
    def limit(self) -> str:
        """How many stages run at a time, in words."""
        where = {"ray": "as many stages at a time as its cluster has GPUs for", "slurm": "all submitted at once"}
        return where.get(self.via, f"at most {self.jobs} stages at a time")

    def hours(self, stage: str = "", *, gpu: bool = False) -> tuple[float, int]:
        """Hours of all runs of which they are known, one after the other, and the number of the others.

        Args:
            gpu: GPU hours; none where nothing trains on a GPU, as evaluations then run on the CPU too.
        """
        on_gpus = any(one.gpus for one in self._of("train"))
        known = [one for one in self._of(stage) if one.seconds is not None]
        seconds = sum((one.seconds or 0.0) * one.runs * (one.gpus * on_gpus if gpu else 1) for one in known)
        return seconds / 3600, self.runs(stage) - sum(one.runs for one in known)

    @property
    def server_judges(self) -> JudgeTokens:
        """Of all runs of which they are known."""
        return total(one.server_judges * one.runs for one in self.stages if one.server_judges)

    def _money(self) -> dict[str, Any]:
        """Money of the runs of which it is known."""
        judges = self.server_judges
        return {
            "gpu_money": gpu_money(self.hours(gpu=True)[0], self.prices),
            "runs_without_hours": self.hours()[1],
            "judge_money_at_most": judge_money(judges, self.prices),
            "runs_without_judge_calls": sum(one.runs for one in self.stages if one.server_judges is None),
            "judge_tokens_read_at_most": judges.read,
            "judge_tokens_written_at_most": judges.written,
            "currency": self.prices.currency,
        }

    def total(self, key: str, stage: str = "") -> Total:
        """The sum of one number over all runs, of one stage or of all."""
        values = [(getattr(one, key), one.runs) for one in self._of(stage)]
        return Total(sum(v * runs for v, runs in values if v is not None), sum(r for v, r in values if v is None))

    def runs(self, stage: str = "") -> int:
        return sum(one.runs for one in self._of(stage))

    def _of(self, stage: str) -> list[StageEstimate]:
        return [one for one in self.stages if stage in ("", one.stage)]

    def to_json(self) -> dict[str, Any]:
        names = list(dict.fromkeys(one.stage for one in self.stages))
        return {
            "study": self.name,
            "bases": list(self.bases),
            "seeds": list(self.seeds),
            "cells": self.cells,
            "jobs": self.jobs,
            "via": self.via,
            "hours": self._hours(gpu=False),
            "gpu_hours": self._hours(gpu=True),
            "cost": self._money(),
            "stages": [asdict(one) for one in self.stages],
            "totals": {name: self._totals(name) for name in names},
            "all": self._totals(""),
        }

    def _hours(self, *, gpu: bool) -> dict[str, Any]:
        hours, unknown = self.hours(gpu=gpu)
        if unknown == self.runs():
            return {"not_estimated": NO_HOURS}
        return {"known": round(hours, 3), "unknown_runs": unknown}

    def _totals(self, stage: str) -> dict[str, Any]:
        """Sums of one stage; the disk is that of trainings, beside which an evaluation's is small."""
        found = {key: self.total(key, stage).to_json() for key in ("completions", "judge_calls")}
        if stage in ("", "train"):
            found |= {key: self.total(key, "train").to_json() for key in ("disk_bytes", "kept_bytes")}
        return {"runs": self.runs(stage), **found}


def plan_study(loaded: LoadedRecipe, runs_dir: Path, name: str | None = None, prices: Prices = Prices()) -> StudyPlan:
    """Plan every stage of a study; starts and downloads nothing.

    Args:
        name: of the study's folder, in which finished stages say how long they take.
        prices: whose rates say how long others take at most.

    Raises:
        LrmctlError: a problem with a recipe, a local model or local data.
    """
    from lrmctl.preflight.arms import ArmRecipes, study_on
    from lrmctl.studies.cells import cells_of

    study: StudyRecipe = loaded.recipe  # type: ignore[assignment]  # the CLI sends only studies here
    recipes, stages = ArmRecipes(loaded, name), list[StageEstimate]()
    for base in study.every_base:
        stages += _of_base(study_on(loaded, base), base, recipes.of(base, study.training_seeds[0]), runs_dir)
    bases = [base.folder for base in study.every_base]
    took = _measured(runs_dir / (name or study.name), study)
    stages = [_timed(one, took.get((one.base, one.arm, one.stage)), prices) for one in stages]
    cells, seeds = len(cells_of(study)), study.training_seeds
    return StudyPlan(study.name, bases, seeds, cells, study.jobs, stages, study.launch.via, prices)


def _timed(one: StageEstimate, took: float | None, prices: Prices) -> StageEstimate:
    """A stage with its seconds: as measured, else at the stated rate."""
    rate = {"train": prices.train_tokens_per_second, "eval": prices.eval_tokens_per_second}.get(one.stage)
    hours = hours_at_rate(one.tokens_at_most, rate, one.gpus)
    if took is None and hours is not None:
        return replace(one, seconds=hours * 3600, rated=True)
    return replace(one, seconds=took)


def _measured(folder: Path, study: StudyRecipe) -> dict[tuple[str, str, str], float]:
    """Mean seconds of the stages that a study has finished, by base, arm and stage."""
    from lrmctl.studies.cells import cells_of

    found: dict[tuple[str, str, str], list[float]] = {}
    for cell in cells_of(study):
        for stage in ("train", "eval", "analyze"):
            seconds = _seconds(folder / cell.path / "stages" / f"{stage}.json")
            if seconds:
                found.setdefault((cell.base, cell.arm, stage), []).append(seconds)
    for base in study.every_base:
        for seed in study.training_seeds:
            for rows in study.builds:
                path = cell_path(base.folder, seed, rows.name, matrix=study.is_matrix)
                if seconds := _seconds(folder / path / "stages" / "build.json"):
                    found.setdefault((base.folder, rows.name, "build"), []).append(seconds)
    return {key: sum(values) / len(values) for key, values in found.items()}


def _seconds(stamp: Path) -> float:
    try:
        return float(read_object(stamp).get("seconds", 0.0))
    except (DamagedError, TypeError, ValueError):
        return 0.0


def _of_base(
    study: StudyRecipe, base: StudyBase, recipes: dict[str, LoadedRecipe], runs_dir: Path
) -> Iterator[StageEstimate]:
    evaluated = _evaluation(study.evaluation, base.folder)
    analysed = _analysis(study, base.folder)
    yield from (evaluated, analysed)
    runs = len(study.training_seeds)
    for rows in study.builds:
        yield _build(rows, base.folder, recipes[rows.name], runs, runs_dir)
    for arm in study.trainings:
        loaded = recipes[arm.name]
        if study.launch.via != "local":
            loaded = loaded.override({"launch": study.launch.model_dump(mode="json")}, "the study's launch")
        yield _training(arm, base.folder, loaded, runs, runs_dir)
        if arm.evaluate:
            yield from (replace(one, arm=arm.name, start=arm.start, runs=runs) for one in (evaluated, analysed))


def _training(arm: StudyArm, base: str, loaded: LoadedRecipe, runs: int, runs_dir: Path) -> StageEstimate:
    from lrmctl.training.cost import server_judges
    from lrmctl.training.plan import plan_training

    plan = plan_training(loaded, runs_dir=runs_dir, name=arm.name, allow_missing=True, render=False)
    numbers = plan.summary.derived
    kept = numbers.disk_bytes if arm.keep else 0
    sampled = _rejection_calls(plan)
    return StageEstimate(
        base,
        arm.name,
        "train",
        arm.start,
        runs,
        plan.summary.placement.gpus,
        numbers.samples,
        sum(numbers.judge_calls.values()) if sampled is None else sampled,
        numbers.disk_bytes,
        kept,
        notes=tuple(_known(note, arm) for note in plan.missing),
        nodes=plan.summary.placement.nodes,
        tokens_at_most=numbers.tokens_at_most,
        server_judges=server_judges(plan),
    )


def _known(note: str, arm: StudyArm) -> str:
    """The note on missing data, unless this study makes them."""
    made = next(
        (name for name in arm.runs.values() if re.search(rf"(run:|')\S*/{re.escape(name)}(?![\w.-])", note)), None
    )
    return note if made is None else f"its rows are made first, by {made}"


def _build(rows: StudyArm, base: str, loaded: LoadedRecipe, runs: int, runs_dir: Path) -> StageEstimate:
    from lrmctl.builders.plan import plan_build

    planned = plan_build(loaded, runs_dir=runs_dir, name=rows.name, allow_missing=True)
    plan = planned.plan
    known = not plan.missing
    return StageEstimate(
        base,
        rows.name,
        "build",
        rows.start,
        runs,
        gpus_of_evaluation(planned.recipe),
        plan.completions if known else None,
        sum(plan.judge_calls.values()) if known else None,
        notes=tuple(_known(note, rows) for note in plan.missing),
    )


def _rejection_calls(plan: TrainingPlan) -> int | None:
    """Judge calls of rejection sampling, at most; None for a recipe that samples nothing first."""
    recipe = plan.resolved.recipe
    if not isinstance(recipe, SftRecipe) or (rejection := recipe.data.rejection) is None:
        return None
    prompts = plan.inputs.sampled_from
    calls = 0
    for component in rejection.reward.components:
        if component.use and component.options.get("judge"):
            asked = sum(prompt.kind in component.kinds for prompt in prompts)
            calls += asked * rejection.samples_per_prompt * (2 if component.part in ("whole", "both") else 1)
    return calls


def _evaluation(section: EvalSection, base: str) -> StageEstimate:
    from lrmctl.evaluation.plan import plan_evaluation

    plan = plan_evaluation(section, gpus_of_evaluation(section))
    return StageEstimate(
        base,
        BASE,
        "eval",
        "",
        1,
        plan.gpus,
        plan.completions,
        plan.judge_calls,
        notes=plan.notes,
        tokens_at_most=plan.tokens_at_most,
        server_judges=plan.server_judges,
    )


def _analysis(study: StudyRecipe, base: str) -> StageEstimate:
    section = study.analysis
    asked = [name for name in ("confirm", "transitions", "early", "recovery") if getattr(section, name) is not None]
    what = f"what the analysis generates and judges depends on the traces: {', '.join(asked)}"
    amount = None if asked else 0
    servers = None if asked else JudgeTokens()
    return StageEstimate(
        base, BASE, "analyze", "", 1, 1, amount, amount, notes=(what,) if asked else (), server_judges=servers
    )


def unknowns(stages: Iterable[StageEstimate]) -> list[str]:
    """Every note once, with the stages that it is about."""
    found: dict[str, dict[str, None]] = {}
    for one in stages:
        for note in one.notes:
            found.setdefault(note, {})[f"{one.arm} {one.stage}"] = None
    return [f"{', '.join(names)}: {note}" for note, names in found.items()]
