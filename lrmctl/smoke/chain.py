"""The stages of a smoke run, each timed: shrink, train, checkpoint, evaluate, report; of data: shrink, build, load.

A failing stage ends its chain; the output of earlier stages is kept for inspection.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lrmctl.errors import LrmctlError
from lrmctl.recipe.load import LoadedRecipe
from lrmctl.recipe.schema.build import Intervene
from lrmctl.recipe.schema.engines import HfOptions
from lrmctl.recipe.schema.evaluation import EvalSection, ReasoningUse, SafetySet
from lrmctl.recipe.schema.recipes import DataRecipe, EvalRecipe, OfflineRecipe, RlRecipe, StudyRecipe
from lrmctl.runs.folder import RunFolder
from lrmctl.smoke import evaluated
from lrmctl.smoke.data import shrink_data
from lrmctl.smoke.model import tiny_model
from lrmctl.smoke.shrink import NEW_TOKENS, shrink
from lrmctl.smoke.stand_ins import NAME as STAND_IN

FOLDER = ".smoke"


@dataclass(frozen=True)
class Stage:
    """One stage with its result or error."""

    name: str
    seconds: float
    result: str = ""
    error: str = ""


@dataclass
class SmokeResult:
    """The result of a smoke run of one recipe.

    Attributes:
        changes: recipe key -> (old value, new value).
        replaced: one sentence per replacement.
    """

    recipe: str
    folder: Path
    stages: list[Stage] = field(default_factory=list)
    changes: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    replaced: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return bool(self.stages) and not any(stage.error for stage in self.stages)

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages)

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "folder": str(self.folder), "ok": self.ok, "seconds": round(self.seconds, 2)}


def smoke(
    loaded: LoadedRecipe,
    *,
    runs_dir: Path,
    on_stage: Callable[[str], None] | None = None,
) -> list[SmokeResult]:
    """Run the chain of a recipe, or of each arm of a study, at a tiny scale.

    Args:
        runs_dir: results go to its subfolder `.smoke/<name>`, replacing an earlier smoke run.
        on_stage: called with a line of text before each stage.

    Returns:
        One result per chain; a failed stage is recorded in it and raises nothing.
    """
    from lrmctl.preflight.arms import load_arms
    from lrmctl.preflight.validate import validate

    validate(loaded)
    recipe, tell = loaded.recipe, on_stage or (lambda _: None)
    if isinstance(recipe, StudyRecipe):
        return [_Chain(arm, runs_dir, tell).run() for arm in load_arms(loaded).values()]
    return [_Chain(loaded, runs_dir, tell).run()]


class _Chain:
    """Runs the stages of one recipe."""

    def __init__(self, loaded: LoadedRecipe, runs_dir: Path, tell: Callable[[str], None]) -> None:
        self._loaded, self._runs_dir, self._tell = loaded, runs_dir.absolute(), tell
        name = loaded.recipe.name
        self._out = SmokeResult(name, self._runs_dir / FOLDER / name)
        self._run = RunFolder(self._out.folder / "run")

    def run(self) -> SmokeResult:
        shutil.rmtree(self._out.folder, ignore_errors=True)
        self._out.folder.mkdir(parents=True)
        for stage in self._stages():
            if not self._timed(stage):
                break
        return self._out

    def _stages(self) -> tuple[Callable[[], str], ...]:
        if isinstance(self._loaded.recipe, DataRecipe):
            return (self._shrink, self._build, self._load)
        trains = not isinstance(self._loaded.recipe, EvalRecipe)
        stages = (self._train, self._checkpoint) if trains else (self._model,)
        return (self._shrink, *stages, self._evaluate, self._report)

    def _timed(self, stage: Callable[[], str]) -> bool:
        """Run and record a stage; returns whether it succeeded."""
        name, started = stage.__name__.strip("_"), time.monotonic()
        self._tell(f"{self._out.recipe}: {name}")
        result, error = "", ""
        try:
            result = stage()
        except LrmctlError as failure:
            error = str(failure)
        self._out.stages.append(Stage(name, round(time.monotonic() - started, 2), result, error))
        return not error

    def _shrink(self) -> str:
        if isinstance(self._loaded.recipe, EvalRecipe):
            return "the evaluation is made small as it runs"
        shrinks = shrink_data if isinstance(self._loaded.recipe, DataRecipe) else shrink
        small = shrinks(self._loaded, self._out.folder, self._runs_dir)
        self._loaded, self._out.changes, self._out.replaced = small.loaded, small.changes, small.replaced
        return f"{len(small.changes)} values changed, {len(small.replaced)} things replaced"

    def _build(self) -> str:
        from lrmctl.builders.run import NothingKeptError, build

        try:
            built = build(self._loaded, runs_dir=self._out.folder, name="run")
        except NothingKeptError as error:
            return f"{error.what}, which is no fault: the model and the judges are stand-ins"
        return f"{built.summary['rows']} rows"

    def _load(self) -> str:
        from lrmctl.data.sources import jsonl_source

        file = self._run.path / "rows.jsonl"
        if not file.stat().st_size:
            return "no rows to load"
        source, recipe = jsonl_source(str(file)), self._loaded.recipe
        pairs = isinstance(recipe, DataRecipe) and isinstance(recipe.build, Intervene)
        return f"a recipe can name them: {len(source.pairs() if pairs else source.prompts())} rows"

    def _train(self) -> str:
        from lrmctl.runs.jsonl import read_jsonl
        from lrmctl.training.run import train

        self._run = train(self._loaded, runs_dir=self._out.folder, name="run")
        return f"{sum(1 for _ in read_jsonl(self._run.metrics))} steps"

    def _checkpoint(self) -> str:
        from lrmctl.backends import make_backend
        from lrmctl.models import load_model

        recipe = self._loaded.recipe
        assert isinstance(recipe, OfflineRecipe | RlRecipe)
        kept = make_backend(recipe.backend.name).checkpoint(self._run.path)
        if kept is None:
            raise LrmctlError("training kept no checkpoint", str(self._run.checkpoints))
        load_model(self._run.model)
        return f"the model loads; last checkpoint: {kept.path.name}"

    def _model(self) -> str:
        recipe = self._loaded.recipe
        assert isinstance(recipe, EvalRecipe)
        made, told = tiny_model(recipe.model, self._out.folder / "tiny", runs_dir=self._runs_dir, seed=recipe.seed)
        self._out.replaced += told
        self._run.path.mkdir()
        self._run.model.symlink_to(made, target_is_directory=True)
        return str(made)

    def _evaluate(self) -> str:
        from lrmctl.evaluation import evaluate

        section = self._section()
        seed = self._loaded.recipe.seed
        summary = evaluate(self._run.model, section, self._run.path, seed=seed, label="smoke", variant="")
        return f"{len(summary['sets'])} sets"

    def _section(self) -> EvalSection:
        """The recipe's evaluation, shrunk; for a training recipe the lab's benchmarks and the stand-in judge."""
        recipe = self._loaded.recipe
        small: dict[str, Any] = {
            "temperatures": (1.0,),
            "samples": 1,
            "max_new_tokens": NEW_TOKENS,
            "batch_size": 8,
            "limit": evaluated.LIMIT,
            "engine": HfOptions(),
            "over_refusal": False,
        }
        if isinstance(recipe, EvalRecipe):
            section = recipe.evaluation
            safety, told = evaluated.small_sets(section, self._out.folder / "prompts")
            reasoning, instead = evaluated.small_tasks(section.reasoning)
            self._out.replaced += [*told, *instead]
            sets = {"safety": safety, "reasoning": reasoning, "over_refusal": evaluated.over_refusal(section, safety)}
            return section.model_copy(update={**small, **sets})
        self._out.replaced.append("evaluation: the lab's benchmarks and arithmetic, judged by the stand-in")
        safety = tuple(SafetySet(use=use, judge=STAND_IN) for use in ("lab-harmful", "lab-benign"))
        return EvalSection(safety=safety, reasoning=(ReasoningUse(use="lab_arithmetic"),), **small)

    def _report(self) -> str:
        from lrmctl.reporting.build import ArmFolder, build_report

        arm = ArmFolder("smoke", self._out.recipe, False, self._run.path)
        notes = ("A smoke run: a random model, a few rows and stand-ins. Its numbers mean nothing.",)
        return str(build_report([arm], self._out.folder / "report.html", title="smoke run", notes=notes))
