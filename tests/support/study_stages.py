"""A stage of a study that only notes that it ran; for worker processes, which import it by name."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from lrmctl.models import resolve_model
from lrmctl.preflight.arms import ArmRecipes, study_on
from lrmctl.recipe.load import load_recipe
from lrmctl.recipe.schema.study import StudyRecipe
from lrmctl.runs.jsonl import read_jsonl
from lrmctl.runs.writing import write_json
from lrmctl.studies.pretrain import PretrainTask
from lrmctl.studies.stages import BaseCells, OnEvent, StudyEvent, StudyTask, stages_of

LOG = "ran.jsonl"


STUDY = """
kind: study
name: mine
{top}
arms:
{arms}
evaluation:
  safety: [lab-harmful, lab-benign]
"""


def tasks_of(folder: Path, *arms: str, top: str = "", seconds: float = 0) -> dict[str, StudyTask]:
    file = folder / "study.yaml"
    file.write_text(STUDY.format(arms="\n".join(f"  - {arm}" for arm in arms), top=top))
    (folder / "study.log").write_text(str(seconds))
    loaded = load_recipe(file)
    recipe = loaded.recipe
    assert isinstance(recipe, StudyRecipe)
    recipes = ArmRecipes(loaded)
    bases = [
        BaseCells(
            base.folder,
            resolve_model("lab:tiny", folder),
            study_on(loaded, base),
            {seed: recipes.of(base, seed) for seed in recipe.training_seeds},
        )
        for base in recipe.every_base
    ]
    return stages_of(bases, folder)


def noted_stage(task: StudyTask, _emit: OnEvent) -> None:
    """Append a line to the study's log; fail where the study's folder has a file `fail-STAGE-ARM`."""
    study = task.folder
    while not (study / "study.log").exists():
        study = study.parent
    began = time.monotonic()
    time.sleep(float((study / "study.log").read_text() or 0))
    line = {
        "task": task.name,
        "model": str(task.model),
        "gpus": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "pid": os.getpid(),
        "began": began,
        "ended": time.monotonic(),
    }
    with (study / LOG).open("a", encoding="utf-8") as log:
        log.write(json.dumps(line) + "\n")
    if (study / f"fail-{task.stage}-{task.arm.replace('/', '-')}").exists():
        raise RuntimeError(f"no luck with {task.name}\nand more lines")
    write_json(task.stamp, {"key": task.key, "seconds": 0})


def noted_pretraining(task: PretrainTask, emit: OnEvent) -> None:
    """Write the manifest of a base that was not pretrained; the one with seed 13 does not pass the gate."""
    emit(StudyEvent(task.name, "pretrain", "progress", "", 1, 2))
    if task.seed == 13:
        raise RuntimeError("no base")
    write_json(
        task.out / "manifest.json",
        {"seed": task.seed, "architecture": task.architecture, "gate": {"passed": task.seed != 7}},
    )


def ran(study: Any) -> list[dict[str, Any]]:
    """What ran, in the order of ending."""
    return list(read_jsonl(study / LOG))
