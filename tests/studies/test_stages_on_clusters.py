"""A study's stages as jobs of a cluster: submitted once, found again, and what becomes of failures."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from fake_cluster import FakeCluster
from study_stages import noted_stage, ran, tasks_of

from lrmctl.errors import BackendError
from lrmctl.studies.cluster import executor as module
from lrmctl.studies.cluster.executor import ClusterExecutor
from lrmctl.studies.cluster.job import JobFiles
from lrmctl.studies.graph import run_graph
from lrmctl.studies.stages import StudyEvent, StudyTask, is_finished

CHAIN = ("{name: sft, recipe: lab/sft-mixed}", "{name: rl, recipe: lab/rl, from: sft}")


def run(
    folder: Path, tasks: Mapping[str, StudyTask], cluster: FakeCluster, most: int | None = 2
) -> tuple[dict[str, str], list[StudyEvent]]:
    events: list[StudyEvent] = []
    return run_graph(tasks, ClusterExecutor(cluster, folder, noted_stage, tasks, most), events.append), events


@pytest.mark.e2e
def test_every_stage_is_one_job_and_a_second_run_submits_nothing(tmp_path: Path) -> None:
    tasks, cluster = tasks_of(tmp_path, *CHAIN), FakeCluster()
    failures, _ = run(tmp_path, tasks, cluster)
    assert failures == {}
    assert all(is_finished(task) for task in tasks.values())
    assert len(cluster.submitted) == len(tasks) == len(ran(tmp_path))
    order = [line["task"] for line in ran(tmp_path)]
    assert order.index("train:sft") < order.index("train:rl")
    again = FakeCluster()
    _, events = run(tmp_path, tasks, again)
    assert again.submitted == []
    assert {event.state for event in events} == {"kept"}


@pytest.mark.slow
@pytest.mark.e2e
def test_a_job_that_fails_gives_its_own_reason_and_what_starts_from_it_is_not_submitted(tmp_path: Path) -> None:
    tasks, cluster = tasks_of(tmp_path, *CHAIN), FakeCluster()
    (tmp_path / "fail-train-sft").touch()
    failures, _ = run(tmp_path, tasks, cluster)
    assert "RuntimeError: no luck with train:sft" in failures["sft"]
    assert str(JobFiles(tmp_path, "sft", "train").log) in failures["sft"]
    assert "its start, sft, failed" in failures["rl"]
    assert not [job for job in cluster.submitted if "-rl" in job.name]
    (tmp_path / "fail-train-sft").unlink()
    assert run(tmp_path, tasks, FakeCluster())[0] == {}


@pytest.mark.e2e
def test_a_controller_that_died_finds_its_jobs_again_and_starts_none_twice(tmp_path: Path) -> None:
    tasks, cluster = tasks_of(tmp_path, *CHAIN, seconds=2), FakeCluster()
    dead = ClusterExecutor(cluster, tmp_path, noted_stage, tasks, 2)
    dead.start(tasks["train:sft"])
    dead.start(tasks["eval:base"])
    failures, events = run(tmp_path, tasks, cluster)
    assert failures == {}
    goes_on = {event.arm for event in events if event.text.startswith("goes on as job")}
    assert goes_on == {"sft", "base"}
    names = [line["task"] for line in ran(tmp_path)]
    assert len(names) == len(set(names)) == len(tasks)


@pytest.mark.slow
@pytest.mark.e2e
def test_a_job_that_vanished_is_a_failure_and_the_next_run_submits_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STAMP_TIMEOUT_S", 0.0)
    tasks, cluster = tasks_of(tmp_path, CHAIN[0], seconds=60), FakeCluster()
    executor = ClusterExecutor(cluster, tmp_path, noted_stage, tasks, 2)
    executor.start(tasks["train:sft"])
    record = JobFiles(tmp_path, "sft", "train").read_record()
    cluster.stop(record)
    while not (ended := list(executor.finished())):
        time.sleep(0.05)
    assert ended[0][0] == "train:sft"
    assert isinstance(ended[0][1], BackendError)
    (tmp_path / "study.log").write_text("0")
    assert run(tmp_path, tasks, cluster)[0] == {}


@pytest.mark.slow
@pytest.mark.e2e
def test_an_interrupt_stops_what_runs(tmp_path: Path) -> None:
    tasks, cluster = tasks_of(tmp_path, CHAIN[0], seconds=60), FakeCluster()
    executor = ClusterExecutor(cluster, tmp_path, noted_stage, tasks, 2)
    executor.start(tasks["train:sft"])
    executor.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    record = JobFiles(tmp_path, "sft", "train").read_record()
    while cluster.states([record])[0].active:
        time.sleep(0.05)
    assert ran(tmp_path) == []


@pytest.mark.slow
@pytest.mark.e2e
def test_a_cluster_that_is_silent_for_a_while_is_waited_for(tmp_path: Path) -> None:
    tasks, cluster = tasks_of(tmp_path, CHAIN[0]), FakeCluster()
    executor = ClusterExecutor(cluster, tmp_path, noted_stage, tasks, 2)
    cluster.silent = 5
    assert run_graph(tasks, executor, lambda _: None) == {}
    assert cluster.silent == 0


def test_a_cluster_that_stays_silent_ends_the_study_and_its_jobs_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENCE_TIMEOUT_S", 0.0)
    tasks, cluster = tasks_of(tmp_path, CHAIN[0], seconds=0), FakeCluster()
    executor = ClusterExecutor(cluster, tmp_path, noted_stage, tasks, 2)
    executor.start(tasks["train:sft"])
    cluster.silent = 10**6
    time.sleep(0.1)
    with pytest.raises(BackendError, match=r"(?s)does not answer any more.*same command finds them again"):
        list(executor.finished())


def test_no_more_gpus_are_asked_for_than_the_cluster_has(tmp_path: Path) -> None:
    tasks = tasks_of(
        tmp_path, "{name: a, recipe: qwen3-8b/sft-star1}", top="launch: {via: ray, address: 'http://head:1'}"
    )
    executor = ClusterExecutor(FakeCluster(gpus=8), tmp_path, noted_stage, tasks, None)
    need = tasks["train:a"].gpus
    assert need == 8
    assert executor.fits(tasks["train:a"])
    executor.start(tasks["eval:base"])
    assert not executor.fits(tasks["train:a"])
    assert executor.fits(tasks["analyze:base"])


def test_a_task_is_launched_inside_its_job_whatever_its_recipe_says(tmp_path: Path) -> None:
    tasks = tasks_of(
        tmp_path,
        "{name: rl, recipe: lab/rl, set: {launch.via: slurm}}",
        "{name: sft, recipe: lab/sft-mixed}",
        top="launch: {via: ray, address: 'http://head:1'}",
    )
    placed = {name: FakeCluster().placed(tasks[f"train:{name}"]).loaded for name in ("rl", "sft")}
    launches = {name: found.recipe.launch for name, found in placed.items() if found is not None}
    assert (launches["rl"].via, launches["rl"].reward_host) == ("ray", "reward")
    assert launches["sft"].via == "local"
    assert tasks["train:rl"].key != tasks["train:sft"].key


def test_keys_and_tokens_of_this_process_are_not_shown_to_the_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_TOKEN", "LRMCTL_API_KEY", "LRMCTL_DATA_DIR", "OTHER"):
        monkeypatch.setenv(name, "x")
    tasks, cluster = tasks_of(tmp_path, CHAIN[0]), FakeCluster()
    ClusterExecutor(cluster, tmp_path, noted_stage, tasks, 2).start(tasks["eval:base"])
    env = cluster.submitted[0].env
    assert env["LRMCTL_DATA_DIR"] == "x"
    assert not {"HF_TOKEN", "LRMCTL_API_KEY", "OTHER"} & set(env)
