"""A study's stages as batch jobs of Slurm: what is submitted, found again, cancelled, and tried once more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from fake_slurm import FakeSlurm
from study_stages import noted_stage, ran, tasks_of

from lrmctl.errors import BackendError, RecipeError
from lrmctl.recipe.schema.sections import Launch
from lrmctl.studies.cluster import executor as executor_module
from lrmctl.studies.cluster.executor import ClusterExecutor
from lrmctl.studies.cluster.job import JobFiles
from lrmctl.studies.cluster.slurm import SlurmStageJobs
from lrmctl.studies.graph import run_graph
from lrmctl.studies.stages import StudyEvent, StudyTask, is_finished

CHAIN = ("{name: sft, recipe: lab/sft-mixed, keep: false}", "{name: rl, recipe: lab/rl, from: sft}")
OTHER = "{name: other, recipe: lab/sft-mixed}"
ON_SLURM = "launch: {via: slurm}"


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    fake = FakeSlurm(tmp_path / "slurm")
    monkeypatch.setenv("PATH", f"{fake.bin}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.setattr(SlurmStageJobs, "poll_interval", 0.02)
    return fake


def executor(folder: Path, tasks: Mapping[str, StudyTask], **launch: object) -> ClusterExecutor:
    jobs = SlurmStageJobs(Launch.model_validate({"via": "slurm", **launch}))
    return ClusterExecutor(jobs, folder, noted_stage, tasks, None)


def run(folder: Path, tasks: Mapping[str, StudyTask]) -> tuple[dict[str, str], list[StudyEvent]]:
    events: list[StudyEvent] = []
    return run_graph(tasks, executor(folder, tasks), events.append), events


def needs_of(slurm: FakeSlurm, part: str) -> dict[str, set[str]]:
    """The names of the jobs that a job waits for, by kind of dependency."""
    names = {job["id"]: job["name"].removeprefix("study-").rpartition("-")[0] for job in slurm.jobs}
    found = slurm.job(part)["options"].get("dependency", "")
    return {w.split(":")[0]: {names[n] for n in w.split(":")[1:]} for w in found.split(",") if w}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    folder.mkdir()
    return folder


def test_every_stage_is_submitted_at_once_and_waits_for_what_it_needs(study: Path, slurm: FakeSlurm) -> None:
    tasks = tasks_of(study, *CHAIN, top=ON_SLURM)
    slurm.set("hold")
    executor(study, tasks).__enter__()
    assert len(slurm.jobs) == len(tasks)
    assert needs_of(slurm, "-train-sft") == {}
    assert needs_of(slurm, "-train-rl") == {"afterok": {"train-sft"}}
    assert needs_of(slurm, "-eval-rl") == {"afterok": {"train-rl"}}
    assert needs_of(slurm, "-analyze-rl") == {"afterok": {"eval-rl"}, "afterany": {"analyze-base"}}
    assert needs_of(slurm, "-remove-sft") == {"afterok": {"analyze-sft", "train-rl"}}
    assert slurm.job("-train-rl")["options"]["kill-on-invalid-dep"] == "yes"


def test_options_and_setup_reach_every_script_with_the_gpus_of_its_stage(study: Path, slurm: FakeSlurm) -> None:
    arm = "{name: sft, recipe: qwen3-8b/sft-star1, keep: false}"
    tasks = tasks_of(study, arm, "{name: cpu, recipe: lab/rl, set: {backend.device: cpu}}", top=ON_SLURM)
    slurm.set("hold")
    executor(study, tasks, options={"partition": "gpu", "exclusive": None}, setup=["module load cuda"]).__enter__()
    for job in slurm.jobs:
        assert job["options"]["partition"] == "gpu"
        assert job["options"]["exclusive"] == ""
        assert "module load cuda" in job["script"]
    gpus = {name: slurm.job(f"-{name}-")["options"].get("gpus-per-node") for name in ("train-sft", "eval-sft")}
    assert gpus == {"train-sft": "8", "eval-sft": "1"}
    for name in ("train-cpu", "remove-sft"):
        assert "gpus-per-node" not in slurm.job(f"-{name}-")["options"]


def test_a_stage_without_gpus_does_not_ask_for_those_of_the_options(study: Path, slurm: FakeSlurm) -> None:
    tasks = tasks_of(study, CHAIN[0], top=ON_SLURM)
    slurm.set("hold")
    executor(study, tasks, options={"gres": "gpu:h100:1"}).__enter__()
    assert slurm.job("-eval-sft-")["options"]["gres"] == "gpu:h100:1"
    assert "gres" not in slurm.job("-remove-sft-")["options"]


def test_a_training_on_several_nodes_is_one_job_of_so_many(study: Path, slurm: FakeSlurm) -> None:
    arm = "{{name: big, recipe: qwen3-8b/{}, set: {{layout.nodes: 2, layout.gpus: 8}}}}"
    slurm.set("hold")
    tasks = tasks_of(study, arm.format("rl-guard"), top=ON_SLURM)
    executor(study, tasks).__enter__()
    job = slurm.job("-train-big-")
    assert (job["options"]["nodes"], job["options"]["gpus-per-node"]) == ("2", "8")
    assert "ray.scripts.scripts start --head" in job["script"]
    assert slurm.job("-eval-big-")["options"]["nodes"] == "1"


def test_an_sft_on_several_nodes_is_refused_before_anything_is_submitted(study: Path, slurm: FakeSlurm) -> None:
    arm = "{name: big, recipe: qwen3-8b/sft-star1, set: {layout.nodes: 2}}"
    with pytest.raises(RecipeError, match=r"big: an SFT on 2 nodes.*layout.nodes|layout.nodes: big: an SFT on 2 nodes"):
        executor(study, tasks_of(study, arm, top=ON_SLURM)).__enter__()
    assert slurm.jobs == []


@pytest.mark.e2e
def test_a_study_runs_to_its_end_and_asks_once_for_all_jobs(study: Path, slurm: FakeSlurm) -> None:
    tasks = tasks_of(study, *CHAIN, top=ON_SLURM)
    failures, _ = run(study, tasks)
    assert failures == {}
    assert all(is_finished(task) for task in tasks.values())
    assert len(slurm.jobs) == len(tasks) == len(ran(study))
    assert not [words for words in slurm.calls("squeue") if "-j" in words]
    _, events = run(study, tasks)
    assert {event.state for event in events} == {"kept"}
    assert len(slurm.jobs) == len(tasks)


@pytest.mark.e2e
def test_what_needs_a_failed_job_is_skipped_with_the_reason_and_the_next_run_submits_it(
    study: Path, slurm: FakeSlurm
) -> None:
    tasks = tasks_of(study, *CHAIN, OTHER, top=ON_SLURM)
    (study / "fail-train-sft").touch()
    failures, events = run(study, tasks)
    assert "RuntimeError: no luck with train:sft" in failures["sft"]
    assert "its start, sft, failed" in failures["rl"]
    assert set(failures) == {"sft", "rl"}
    assert ("rl", "train", "skipped") in {(event.arm, event.stage, event.state) for event in events}
    assert is_finished(tasks["analyze:other"])
    assert "remove:sft" not in {line["task"] for line in ran(study)}
    before = len(slurm.jobs)
    (study / "fail-train-sft").unlink()
    assert run(study, tasks)[0] == {}
    again = {job["name"].split("-")[1] + ":" + job["name"].split("-")[2] for job in slurm.jobs[before:]}
    assert again == {name for name, task in tasks.items() if task.arm in ("sft", "rl")}
    names = [line["task"] for line in ran(study)]
    assert {name for name in names if names.count(name) > 1} == {"train:sft"}


def test_a_waiting_job_is_kept_if_its_needs_are_and_otherwise_submitted_again(study: Path, slurm: FakeSlurm) -> None:
    tasks = tasks_of(study, *CHAIN, top=ON_SLURM)
    slurm.set("hold")
    executor(study, tasks).__enter__()
    executor(study, tasks).__enter__()
    assert len(slurm.jobs) == len(tasks)
    subprocess.run(["scancel", slurm.job("-train-sft-")["id"]], check=True)
    executor(study, tasks).__enter__()
    again = {job["name"].removeprefix("study-").rpartition("-")[0] for job in slurm.jobs[len(tasks) :]}
    assert again == {name.replace(":", "-") for name, task in tasks.items() if task.arm in ("sft", "rl")}
    waiting = [job["name"].rpartition("-")[0] for job in slurm.jobs if job["state"] == "PENDING"]
    assert len(waiting) == len(set(waiting)) == len(tasks)


CONTROLLER = """
import sys
from pathlib import Path
from test_stages_on_slurm import CHAIN, ON_SLURM, executor, tasks_of
folder = Path(sys.argv[1])
executor(folder, tasks_of(folder, *CHAIN, top=ON_SLURM)).__enter__()
"""


def test_a_job_whose_number_was_never_written_down_is_found_by_its_name(study: Path, slurm: FakeSlurm) -> None:
    slurm.set("hold")
    slurm.set("kill")
    killed = subprocess.run([sys.executable, "-c", CONTROLLER, str(study)], check=False)
    assert killed.returncode == -signal.SIGKILL
    slurm.clear("kill")
    (lost,) = slurm.jobs
    tasks = tasks_of(study, *CHAIN, top=ON_SLURM)
    executor(study, tasks).__enter__()
    assert len(slurm.jobs) == len(tasks)
    ids = {str(JobFiles.of(study, task).read_record()["id"]) for task in tasks.values()}
    assert lost["id"] in ids
    assert len(ids) == len(tasks)


@pytest.mark.slow
@pytest.mark.e2e
def test_a_job_that_appears_after_its_stage_was_submitted_again_does_nothing(study: Path, slurm: FakeSlurm) -> None:
    tasks = tasks_of(study, CHAIN[0], top=ON_SLURM)
    slurm.set("hold")
    executor(study, tasks).__enter__()
    for task in tasks.values():
        JobFiles.of(study, task).record.unlink()
    slurm.clear("hold")
    assert run(study, tasks)[0] == {}
    assert len(slurm.jobs) == 2 * len(tasks)
    names = [line["task"] for line in ran(study)]
    assert sorted(names) == sorted(tasks)
    assert "a newer job runs this stage" in JobFiles.of(study, tasks["train:sft"]).log.read_text()


def test_an_interrupt_cancels_all_jobs_in_one_command(study: Path, slurm: FakeSlurm) -> None:
    tasks = tasks_of(study, *CHAIN, top=ON_SLURM)
    slurm.set("hold")
    with pytest.raises(KeyboardInterrupt), executor(study, tasks):
        raise KeyboardInterrupt
    assert {job["state"] for job in slurm.jobs} == {"CANCELLED"}
    (cancelled,) = slurm.calls("scancel")
    assert len(cancelled) == len(tasks)


def test_an_interrupt_while_jobs_are_submitted_cancels_those(
    study: Path, slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = SlurmStageJobs.submit

    def interrupted(self: SlurmStageJobs, job, record):
        found = submit(self, job, record)
        if len(slurm.jobs) == 3:
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(SlurmStageJobs, "submit", interrupted)
    slurm.set("hold")
    with pytest.raises(KeyboardInterrupt):
        executor(study, tasks_of(study, *CHAIN, top=ON_SLURM)).__enter__()
    assert [job["state"] for job in slurm.jobs] == ["CANCELLED"] * 3


@pytest.mark.slow
@pytest.mark.e2e
def test_a_job_that_slurm_never_takes_is_its_stages_failure_and_the_rest_goes_on(study: Path, slurm: FakeSlurm) -> None:
    tasks = tasks_of(study, *CHAIN, OTHER, top=ON_SLURM)
    slurm.set("refuse", "train-sft Requested node configuration is not available")
    failures, _ = run(study, tasks)
    assert "Requested node configuration is not available" in failures["sft"]
    assert set(failures) == {"sft", "rl"}
    assert is_finished(tasks["analyze:other"])


@pytest.mark.slow
@pytest.mark.e2e
def test_a_job_over_the_limit_of_submitted_jobs_is_submitted_when_others_have_ended(
    study: Path, slurm: FakeSlurm
) -> None:
    tasks = tasks_of(study, *CHAIN, top=ON_SLURM)
    slurm.set("refuse", "train-sft Job violates accounting/QOS policy (job submit limit)")
    events: list[StudyEvent] = []

    def note(event: StudyEvent) -> None:
        events.append(event)
        if event.state == "done":
            slurm.clear("refuse")

    assert run_graph(tasks, executor(study, tasks), note) == {}
    assert any("not taken yet" in event.text for event in events)
    assert len(ran(study)) == len(tasks) == len(slurm.jobs)


@pytest.mark.slow
@pytest.mark.e2e
@pytest.mark.usefixtures("slurm")
def test_a_stage_that_finished_though_its_job_failed_does_not_keep_others_from_starting(study: Path) -> None:
    tasks = tasks_of(study, *CHAIN, top=ON_SLURM)
    jobs = SlurmStageJobs(Launch(via="slurm"))
    failing = ClusterExecutor(jobs, study, crashing_at_exit, tasks, None)
    assert run_graph(tasks, failing, lambda _: None) == {}
    assert sorted(line["task"] for line in ran(study)) == sorted(tasks)


def crashing_at_exit(task: StudyTask, emit: object) -> None:
    noted_stage(task, emit)  # type: ignore[arg-type]
    if task.name == "train:sft":
        raise RuntimeError("after everything was written")


@pytest.mark.slow
@pytest.mark.e2e
def test_what_slurm_has_forgotten_is_known_from_its_files(study: Path, slurm: FakeSlurm) -> None:
    tasks = tasks_of(study, *CHAIN, top=ON_SLURM)
    slurm.set("forget")
    (study / "fail-eval-sft").touch()
    failures, _ = run(study, tasks)
    assert set(failures) == {"sft"}
    assert "no luck with eval:sft" in failures["sft"]


def test_why_a_job_waits_is_told(study: Path, slurm: FakeSlurm) -> None:
    tasks = tasks_of(study, CHAIN[0], top=ON_SLURM)
    slurm.set("hold", "PartitionNodeLimit")
    running = executor(study, tasks)
    running.__enter__()
    running.start(tasks["train:sft"])
    told: list[str] = []
    while not told:
        assert list(running.finished()) == []
        told = [event.text for event in running.events(0.02)]
    assert told == [f"Slurm job {slurm.job('-train-sft-')['id']} waits: PartitionNodeLimit"]


def test_no_answer_is_not_an_ended_job(study: Path, slurm: FakeSlurm) -> None:
    tasks = tasks_of(study, CHAIN[0], top=ON_SLURM)
    slurm.set("hold")
    running = executor(study, tasks)
    running.__enter__()
    record = JobFiles.of(study, tasks["train:sft"]).read_record()
    slurm.set("silent")
    jobs = SlurmStageJobs(Launch(via="slurm"))
    with pytest.raises(BackendError, match="Unable to contact"):
        jobs.states([record])
    with pytest.raises(BackendError, match="Unable to contact"):
        jobs.found({**record, "id": ""})


def test_a_study_that_gives_up_on_a_silent_slurm_cancels_nothing(
    study: Path, slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor_module, "SILENCE_TIMEOUT_S", 0.0)
    tasks = tasks_of(study, CHAIN[0], top=ON_SLURM)
    slurm.set("hold")
    running = executor(study, tasks)

    def follow() -> None:
        with running:
            running.start(tasks["train:sft"])
            slurm.set("silent")
            while True:
                list(running.finished())

    with pytest.raises(BackendError, match="same command finds them again"):
        follow()
    assert slurm.calls("scancel") == []
