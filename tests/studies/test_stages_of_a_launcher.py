"""A study's stages as jobs of a plugin's launcher: run, failed, found again, and refused on several nodes."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from launcher_plugin import install_launchers
from study_stages import noted_stage, ran, tasks_of

from lrmctl.errors import RecipeError
from lrmctl.preflight.validate import validate
from lrmctl.recipe.load import load_recipe
from lrmctl.recipe.schema.sections import Launch
from lrmctl.studies.cluster.choice import stage_jobs
from lrmctl.studies.cluster.executor import ClusterExecutor
from lrmctl.studies.cluster.job import JobFiles
from lrmctl.studies.graph import run_graph
from lrmctl.studies.stages import StudyEvent, StudyTask, is_finished

LAUNCH = "launch: {via: detached, options: {nice: 1}}"
SFT = "{name: sft, recipe: lab/sft-mixed, evaluate: false}"


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    install_launchers(tmp_path, monkeypatch)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    folder = tmp_path / "study"
    folder.mkdir()
    return folder


def executor(folder: Path, tasks: Mapping[str, StudyTask]) -> ClusterExecutor:
    jobs = stage_jobs(Launch(via="detached", options={"nice": 1}))
    jobs.poll_interval = 0.05
    return ClusterExecutor(jobs, folder, noted_stage, tasks, 2)


@pytest.mark.slow
@pytest.mark.e2e
def test_a_stage_runs_in_a_job_whose_failure_is_told_and_tried_again(study: Path) -> None:
    tasks = {name: task for name, task in tasks_of(study, SFT, top=LAUNCH).items() if name == "train:sft"}
    (study / "fail-train-sft").touch()
    events: list[StudyEvent] = []
    failures = run_graph(tasks, executor(study, tasks), events.append)
    assert "no luck with train:sft" in failures["sft"]
    record = JobFiles.of(study, tasks["train:sft"]).read_record()
    assert record["via"] == "detached"
    assert Path(record["exit_file"]).read_text().strip() == "1"
    (study / "fail-train-sft").unlink()
    assert run_graph(tasks, executor(study, tasks), events.append) == {}
    assert is_finished(tasks["train:sft"])
    assert len({line["pid"] for line in ran(study)} - {os.getpid()}) == 2


def test_a_job_that_an_earlier_lrmctl_started_is_found_and_not_started_twice(study: Path) -> None:
    tasks = {name: task for name, task in tasks_of(study, SFT, top=LAUNCH, seconds=1).items() if name == "train:sft"}
    executor(study, tasks).start(tasks["train:sft"])  # and this one is never heard of again
    events: list[StudyEvent] = []
    assert run_graph(tasks, executor(study, tasks), events.append) == {}
    assert any("goes on as job" in event.text for event in events)
    assert len(ran(study)) == 1


def test_an_arm_on_several_nodes_is_refused_with_what_to_do(study: Path) -> None:
    tasks_of(study, "{name: big, recipe: lab/rl, set: {layout.nodes: 2}}", top=LAUNCH)
    with pytest.raises(RecipeError, match=r"arm big: a training on 2 nodes cannot be a stage .*'detached'") as told:
        validate(load_recipe(study / "study.yaml"))
    assert "launch: {via: slurm}" in str(told.value.fix)
