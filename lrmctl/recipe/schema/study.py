"""Schema of a study: its bases, training seeds and arms, and the chain of trainings that leads to each arm."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from lrmctl.recipe.schema.analysis import AnalysisSection
from lrmctl.recipe.schema.evaluation import EvalSection
from lrmctl.recipe.schema.sections import (
    BY_NAME,
    Launch,
    MisplacedError,
    Name,
    Positive,
    RecipeHeader,
    Section,
    error_at,
)
from lrmctl.recipe.schema.study_base import DEFAULT_BASE, Seed, StudyBase

BASE = "base"
"""Name of the untrained model among a study's arms."""


class StageUse(Section):
    """One training in an arm's chain; just the recipe if nothing else is said."""

    other_forms = BY_NAME

    recipe: str
    """Shipped recipe or file, as in an arm."""
    set: dict[str, Any] = {}
    """Overrides, as with `--set`."""
    runs: dict[str, Name] = {}
    """As in an arm."""
    evaluate: bool | None = None
    """Evaluate and analyse this stage's model; by default only the last stage's, which is the arm's."""
    keep: bool | None = None
    """`false`: delete the stage's weights when the stages after it are trained and it is evaluated."""

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, given: Any) -> Any:
        return {"recipe": given} if isinstance(given, str) else given


class Arm(Section):
    """One trained model of a study, by one recipe or several after each other."""

    model_config = ConfigDict(serialize_by_alias=True)

    name: Name
    """Name of the arm's folder in the study."""
    recipe: str = ""
    """Shipped recipe or file; its `model:` is replaced by the study's base, or by the model of `from:`."""
    stages: tuple[StageUse, ...] = ()
    """Instead of `recipe:`, trainings that follow each other, e.g. `[my-sft, my-rl]`; the last one makes the arm."""
    from_: Name | None = Field(None, alias="from")
    """Arm whose trained model this arm starts from; `base` is the study's base. By default the study's `start:`."""
    label: str = ""
    """Name in the report."""
    control: bool = False
    """Mark this arm as a control in the report."""
    set: dict[str, Any] = {}
    """Overrides, as with `--set`."""
    runs: dict[str, Name] = {}
    """Runs of this study in place of those that the recipe names: `{built: rows}` makes `run:built` the result of
    `rows`, which is one of `data:` or another arm. The arm waits for it."""
    evaluate: bool = True
    """Evaluate and analyse the arm; `false` for one that others only start from."""
    keep: bool = True
    """`false`: delete the arm's weights when the arms that start from it are trained and it is evaluated."""

    @model_validator(mode="after")
    def _one(self) -> Arm:
        if bool(self.recipe) == bool(self.stages):
            raise ValueError("say exactly one of `recipe:` (one training) and `stages:` (several, one after the other)")
        if self.stages and self.set:
            raise MisplacedError("has no effect beside `stages:`; say it in the stage that it is for", ("set",))
        if self.stages and self.runs:
            raise MisplacedError("has no effect beside `stages:`; say it in the stage that it is for", ("runs",))
        return self


class StudyData(Section):
    """Rows that the study builds with one of its models, on each base and with each training seed."""

    model_config = ConfigDict(serialize_by_alias=True)

    name: Name
    """Name by which arms name the rows in `runs:`."""
    recipe: str
    """Shipped recipe or file of kind `data`; its `model:` is replaced."""
    from_: Name | None = Field(None, alias="from")
    """Arm whose trained model the rows are sampled from; by default the study's `start:`, or its base."""
    set: dict[str, Any] = {}
    """Overrides, as with `--set`."""
    runs: dict[str, Name] = {}
    """As in an arm: `{noted: hints}` makes `run:noted` in the recipe the rows of `hints`."""


@dataclass(frozen=True)
class StudyArm:
    """One training of a study: an arm, or an intermediate stage of one or several arms.

    Attributes:
        start: name of the training that it starts from, or `base`.
        evaluate, keep: whether its model is evaluated, and kept afterwards.
        intermediate: a stage and no arm of its own.
        runs: name of a run in its recipe -> the training or build of this study that stands for it.
        at: where its recipe is written, e.g. `("arms", 0, "stages", 1)`.
    """

    name: str
    label: str
    control: bool
    recipe: str
    set: Mapping[str, Any]
    start: str
    evaluate: bool
    keep: bool
    intermediate: bool = False
    runs: Mapping[str, str] = field(default_factory=dict)
    at: tuple[str | int, ...] = field(default=(), compare=False)


class StudyRecipe(RecipeHeader):
    """A study: arms trained from one or several bases, one evaluation of all, one report."""

    kind: Literal["study"]
    """`study`: train several arms, evaluate them alike, report."""
    base: str = DEFAULT_BASE
    """The model that the arms start from and are compared with."""
    bases: tuple[StudyBase, ...] = ()
    """Instead of `base:`, several models: every arm is trained on each."""
    seeds: tuple[Seed, ...] = ()
    """Training seeds: every arm is trained with each. The evaluation's seed stays `seed:`."""
    start: Name | None = None
    """Arm that the other arms start from unless they say `from:`, e.g. a short SFT that makes the reasoning model."""
    arms: Annotated[tuple[Arm, ...], Field(min_length=1)]
    """What is trained and compared with the base."""
    data: tuple[StudyData, ...] = ()
    """Rows that the study builds, for arms that name them in `runs:`."""
    evaluation: EvalSection
    """The evaluation of the base and of every arm."""
    analysis: AnalysisSection = AnalysisSection()
    jobs: Positive = 2
    """Arms trained or evaluated in parallel; fewer if they need the same GPUs. On a Ray cluster with GPUs, unless it is
    said here, as many as there are GPUs for; on Slurm its queue decides."""
    launch: Launch = Launch()
    """Every stage as a job of a cluster: `{via: ray, address: ...}` or `{via: slurm, options: ...}`."""

    @model_validator(mode="after")
    def _unique(self) -> StudyRecipe:
        names = [BASE, *(a.name for a in self.arms), *(d.name for d in self.data)]
        if twice := {n for n in names if names.count(n) > 1}:
            raise ValueError(f"two arms are called {sorted(twice)[0]!r} (`base` is taken)")
        return self

    @model_validator(mode="after")
    def _bases_and_seeds(self) -> StudyRecipe:
        if self.bases and self.base != DEFAULT_BASE:
            raise MisplacedError("say exactly one of `base:` and `bases:`", ("base",))
        names = [base.folder.casefold() for base in self.bases]
        for index, name in enumerate(names):
            if name in names[:index]:
                what = f"two bases are called {self.bases[index].folder!r}; give one of them a `name:`"
                raise MisplacedError(what, ("bases", index))
        if len(set(self.seeds)) < len(self.seeds):
            raise MisplacedError("a seed is listed twice", ("seeds",))
        return self

    @model_validator(mode="after")
    def _starts(self) -> StudyRecipe:
        with error_at("start"):
            self._check_start(self.start)
        for index, arm in enumerate(self.arms):
            with error_at("arms", index, "from"):
                self._check_start(arm.from_)
                _refuse_cycle(arm.name, {a.name: self.start_of(a) for a in self.arms})
        for index, rows in enumerate(self.data):
            with error_at("data", index, "from"):
                self._check_start(rows.from_)
        self._check_runs()
        return self

    def _check_runs(self) -> None:
        from graphlib import CycleError, TopologicalSorter

        from lrmctl._util.suggest import did_you_mean

        steps = (*self.trainings, *self.builds)
        known = [*(arm.name for arm in self.arms), *(rows.name for rows in self.data)]
        for step in steps:
            with error_at(*step.at, "runs"):
                for name in step.runs.values():
                    if name not in known:
                        hint = did_you_mean(name, known)
                        raise ValueError(f"there is no arm and no data {name!r}" + (f"; {hint}" if hint else ""))
        try:
            TopologicalSorter({step.name: [step.start, *step.runs.values()] for step in steps}).prepare()
        except CycleError as error:
            raise ValueError(f"arms and data need each other in a circle: {' <- '.join(error.args[1])}") from None

    def _check_start(self, name: str | None) -> None:
        from lrmctl._util.suggest import did_you_mean

        known = [BASE, *(arm.name for arm in self.arms)]
        if name is not None and name not in known:
            hint = did_you_mean(name, known)
            raise ValueError(f"there is no arm {name!r}" + (f"; {hint}" if hint else ""))

    def start_of(self, arm: Arm | StudyData) -> str:
        """What the first training of an arm starts from, or data are sampled from: `base` or an arm's name."""
        if arm.from_ is not None:
            return arm.from_
        return BASE if self.start is None or arm.name in self._before_start else self.start

    @property
    def _before_start(self) -> set[str]:
        """The arm of `start:`, and those that it starts from, by their own `from:`."""
        from_ = {arm.name: arm.from_ for arm in self.arms}
        found: set[str] = set()
        name = self.start
        while name is not None and name in from_ and name not in found:
            found.add(name)
            name = from_[name]
        return found

    @property
    def every_base(self) -> tuple[StudyBase, ...]:
        """All bases; the one of `base:` if there are no `bases:`."""
        return self.bases or (StudyBase(model=self.base),)

    @property
    def training_seeds(self) -> tuple[int | None, ...]:
        """All training seeds; None leaves it to each arm's recipe, in a study of one base without `seeds:`."""
        return self.seeds or ((self.seed,) if len(self.every_base) > 1 else (None,))

    @property
    def is_matrix(self) -> bool:
        """Whether there are several bases or training seeds."""
        return len(self.every_base) * len(self.training_seeds) > 1

    @property
    def trainings(self) -> tuple[StudyArm, ...]:
        """Every training, in the order of the arms; a chain's beginning that several arms share is listed once."""
        return tuple(_Chains(self).trainings())

    @property
    def builds(self) -> tuple[StudyArm, ...]:
        """Every build of `data:`."""
        return tuple(
            StudyArm(d.name, d.name, False, d.recipe, d.set, self.start_of(d), False, True, True, d.runs, ("data", i))
            for i, d in enumerate(self.data)
        )


_Step = tuple[str, str]
"""A recipe, and its overrides and runs as JSON: what makes two stages with the same start the same training."""
_Chain = tuple[_Step, ...]


class _Chains:
    """The trainings behind each arm: `stages:` written as a chain of starts."""

    def __init__(self, study: StudyRecipe) -> None:
        self._study = study
        self._arms = {arm.name: arm for arm in study.arms}
        self._declared: dict[_Chain, str] = {}
        self._derived: dict[str, _Chain] = {}
        for arm in study.arms:
            self._declared.setdefault(self._chain(arm.name), arm.name)

    def _chain(self, name: str) -> _Chain:
        """Every training from the base to an arm."""
        if name == BASE:
            return ()
        arm = self._arms[name]
        return (*self._chain(self._study.start_of(arm)), *(_step(stage) for stage in _stages(arm)))

    def trainings(self) -> Iterator[StudyArm]:
        uses = list(self._stage_uses())
        for index, arm in enumerate(self._study.arms):
            start = self._study.start_of(arm)
            chain, *earlier = self._chain(start), *_stages(arm)[:-1]
            for number, stage in enumerate(earlier):
                chain = (*chain, _step(stage))
                name, new = self._name(chain, f"{arm.name[:50]}.stage-{number + 1}")
                if new:
                    same = [use for other, use in uses if other == chain]
                    yield _intermediate(arm, name, stage, start, same, ("arms", index, "stages", number))
                start = name
            at = ("arms", index, "stages", len(earlier)) if arm.stages else ("arms", index)
            last = _stages(arm)[-1]
            asked = any(use.evaluate for other, use in uses if other == (*chain, _step(last)))
            yield _of_arm(arm, last, start, asked, at)

    def _name(self, chain: _Chain, derived: str) -> tuple[str, bool]:
        """The name of an intermediate stage, and whether it has not been listed yet."""
        if chain in self._declared:
            return self._declared[chain], False
        known = next((name for name, other in self._derived.items() if other == chain), None)
        if known is not None:
            return known, False
        if derived in self._arms or derived in self._derived:
            raise ValueError(f"a stage would be called {derived!r}, which is taken; rename its arm")
        self._derived[derived] = chain
        return derived, True

    def _stage_uses(self) -> Iterator[tuple[_Chain, StageUse]]:
        """Every stage before an arm's last one, with its chain."""
        for arm in self._study.arms:
            chain = self._chain(self._study.start_of(arm))
            for stage in _stages(arm)[:-1]:
                chain = (*chain, _step(stage))
                yield chain, stage


def _intermediate(
    arm: Arm, name: str, stage: StageUse, start: str, uses: Sequence[StageUse], at: tuple[str | int, ...]
) -> StudyArm:
    """A stage before an arm's last one; where arms that share it disagree, its model is evaluated and kept."""
    keep = any(use.keep for use in uses) or all(use.keep is None for use in uses)
    label, evaluate = f"{arm.label or arm.name}, stage {int(at[-1]) + 1}", any(use.evaluate for use in uses)
    return StudyArm(name, label, arm.control, stage.recipe, stage.set, start, evaluate, keep, True, stage.runs, at)


def _of_arm(arm: Arm, last: StageUse, start: str, asked: bool, at: tuple[str | int, ...]) -> StudyArm:
    keep = arm.keep if last.keep is None else last.keep
    evaluate = asked or (arm.evaluate if last.evaluate is None else last.evaluate)
    label = arm.label or arm.name
    return StudyArm(arm.name, label, arm.control, last.recipe, last.set, start, evaluate, keep, runs=last.runs, at=at)


def _stages(arm: Arm) -> Sequence[StageUse]:
    return arm.stages or (StageUse(recipe=arm.recipe, set=arm.set, runs=arm.runs),)


def _step(stage: StageUse) -> _Step:
    return stage.recipe, json.dumps([stage.set, stage.runs], sort_keys=True, default=str)


def _refuse_cycle(name: str, starts: Mapping[str, str]) -> None:
    """Raises ValueError if following the starts of an arm comes back to it."""
    chain = [name]
    while (start := starts.get(chain[-1])) is not None:
        if start == name:
            if len(chain) == 1:
                raise ValueError(f"{name!r} cannot start from itself")
            raise ValueError(f"the arms start from each other in a circle: {' <- '.join([*chain, name])}")
        if start in chain:
            return  # a circle further up, which its own arms report
        chain.append(start)
