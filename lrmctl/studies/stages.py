"""The stages of a study's cells: training, evaluation, analysis, and what each of them waits for.

A finished stage is stamped with a hash of all its inputs, so after an interruption the same command repeats nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl.runs.damage import DamagedError, read_object
from lrmctl.runs.study_cells import BASE, cell_path
from lrmctl.studies.resources import gpus_of_evaluation, use_of_training

if TYPE_CHECKING:
    from lrmctl.recipe.load import LoadedRecipe
    from lrmctl.recipe.schema.recipes import DataRecipe, StudyRecipe
    from lrmctl.recipe.schema.study import StudyArm

STAGES = ("train", "build", "eval", "analyze", "remove")

OnEvent = Callable[["StudyEvent"], None]


@dataclass(frozen=True)
class StudyEvent:
    """An event of one stage of one cell.

    Attributes:
        arm: the cell: the arm's name, or `BASE/seed-N/ARM` in a study of several bases or seeds.
        state: start, progress, done, kept (done before), failed, or skipped (what it needs failed).
    """

    arm: str
    stage: str
    state: str
    text: str = ""
    done: int = 0
    total: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class StudyTask:
    """One stage of one cell, as sent to a worker: plain data, nothing loaded.

    Attributes:
        arm: the cell's path in the study's folder.
        model: what is trained from, or evaluated.
        study: the study with its base's overrides of the evaluation.
        needs: tasks without which this one cannot run; if one fails, it is skipped.
        after: further tasks that it waits for, whether they succeed or not.
        gpus: that it uses, on all nodes together; on this machine, if it has any.
        on_cpu: it must not see a GPU.
        nodes: that it runs on; more than one only on a cluster.
        starts_cluster: its training starts processes on several GPUs or nodes by itself, through Ray.
    """

    arm: str
    stage: str
    folder: Path
    model: Path
    key: str
    loaded: LoadedRecipe | None
    study: StudyRecipe
    base_folder: Path
    base_model: Path
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    gpus: int = 1
    on_cpu: bool = False
    nodes: int = 1
    starts_cluster: bool = False

    @property
    def name(self) -> str:
        return f"{self.stage}:{self.arm}"

    @property
    def stamp(self) -> Path:
        return self.folder / "stages" / f"{self.stage}.json"

    @property
    def is_base(self) -> bool:
        return self.folder == self.base_folder


@dataclass(frozen=True)
class BaseCells:
    """One base of a study with the recipes of its arms.

    Attributes:
        name: of the base.
        study: with the base's overrides of the evaluation.
        recipes: by training seed, then by name of the arm or stage.
    """

    name: str
    model: Path
    study: StudyRecipe
    recipes: Mapping[int | None, Mapping[str, LoadedRecipe]]


def stages_of(bases: Iterator[BaseCells] | list[BaseCells], folder: Path) -> dict[str, StudyTask]:
    """Every stage of every cell by name, in the order training, evaluation, analysis.

    Args:
        folder: the study's.
    """
    tasks: dict[str, StudyTask] = {}
    for base in bases:
        for task in _Tasks(base, folder).all():
            tasks[task.name] = task
    return tasks


class _Tasks:
    """The tasks of one base's cells."""

    def __init__(self, base: BaseCells, folder: Path) -> None:
        from lrmctl.models import fingerprint

        self._base, self._study, self._folder = base, base.study, folder
        self._fingerprint = fingerprint(base.model)
        self._evaluation = base.study.evaluation.model_dump(mode="json")
        self._analysis = base.study.analysis.model_dump(mode="json")

    def all(self) -> Iterator[StudyTask]:
        yield from self._evaluated(self._path(None, BASE), self._base.model, (None,), ())
        for seed, recipes in self._base.recipes.items():
            yield from self._of_seed(seed, recipes)

    def _of_seed(self, seed: int | None, recipes: Mapping[str, LoadedRecipe]) -> Iterator[StudyTask]:
        keys: dict[str, str] = {}
        followers: dict[str, list[str]] = {}
        builds = {one.name for one in self._study.builds}
        made = {name: "build" if name in builds else "train" for name in recipes}
        arms = list(_needed_first((*self._study.trainings, *self._study.builds)))
        for arm in arms:
            for name in (arm.start, *arm.runs.values()):
                followers.setdefault(name, []).append(f"{made[arm.name]}:{self._path(seed, arm.name)}")
        for arm in arms:
            path, start = self._path(seed, arm.name), self._path(seed, arm.start)
            needed = [name for name in (arm.start, *arm.runs.values()) if name != BASE]
            needs = tuple(dict.fromkeys(f"{made[name]}:{self._path(seed, name)}" for name in needed))
            inputs = (recipes[arm.name].resolved, *(keys[name] for name in needed))
            model = self._base.model if arm.start == BASE else self._folder / start / "model"
            task = self._task(path, made[arm.name], model, recipes[arm.name], *inputs)
            keys[arm.name] = task.key
            if arm.name in builds:
                recipe: DataRecipe = recipes[arm.name].recipe  # type: ignore[assignment]  # what `data:` holds
                yield replace(task, needs=needs, gpus=gpus_of_evaluation(recipe))
                continue
            use = use_of_training(recipes[arm.name].recipe, on_cluster=self._study.launch.via != "local")
            yield replace(task, needs=needs, **asdict(use))
            last = task.name
            if arm.evaluate:
                yield from self._evaluated(path, self._folder / path / "model", inputs, (last,))
                last = f"analyze:{path}"
            if not arm.keep:
                removal = self._task(path, "remove", self._folder / path / "model", None, task.key)
                yield replace(removal, needs=(last, *followers.get(arm.name, ())), gpus=0)

    def _evaluated(
        self, path: str, model: Path, inputs: tuple[Any, ...], needs: tuple[str, ...]
    ) -> Iterator[StudyTask]:
        resolved, *starts = inputs
        evaluated = self._task(path, "eval", model, None, resolved, self._evaluation, *starts)
        yield replace(evaluated, needs=needs, gpus=gpus_of_evaluation(self._study.evaluation))
        analysed = self._task(path, "analyze", model, None, resolved, self._evaluation, self._analysis, *starts)
        base = f"analyze:{self._path(None, BASE)}"  # it gives the entropy threshold
        yield replace(analysed, needs=(evaluated.name,), after=() if analysed.is_base else (base,))

    def _task(self, path: str, stage: str, model: Path, loaded: LoadedRecipe | None, *inputs: Any) -> StudyTask:
        from lrmctl._util.version import __version__

        key = _hash(__version__, self._fingerprint, self._study.seed, stage, *inputs)
        base_folder = self._folder / self._path(None, BASE)
        folder = self._folder / path
        return StudyTask(path, stage, folder, model, key, loaded, self._study, base_folder, self._base.model)

    def _path(self, seed: int | None, arm: str) -> str:
        return cell_path(self._base.name, seed, arm, matrix=self._study.is_matrix)


def _needed_first(arms: tuple[StudyArm, ...]) -> Iterator[StudyArm]:
    """The trainings and builds, each after the one that it starts from and those whose rows it takes."""
    from graphlib import TopologicalSorter

    by_name = {arm.name: arm for arm in arms}
    order = TopologicalSorter({arm.name: [arm.start, *arm.runs.values()] for arm in arms}).static_order()
    return (by_name[name] for name in order if name in by_name)


def is_finished(task: StudyTask) -> bool:
    """Whether this stage has finished with the same inputs."""
    try:
        return bool(read_object(task.stamp).get("key") == task.key)
    except DamagedError:  # the stage is repeated
        return False


def _hash(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]
