"""A launcher of a plugin: real processes that outlive lrmctl, told, found again and ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from training_recipes import SFT, merged

from lrmctl.backends.launch import JobState, Launcher, LaunchJob, Record, launcher
from lrmctl.backends.launch.base import STATE_LINE
from lrmctl.backends.launch.launchers import check_launch, job_record
from lrmctl.backends.launch.supervisor import TEMP
from lrmctl.errors import LrmctlError, RecipeError, RunExistsError
from lrmctl.hooks import registry
from lrmctl.preflight.validate import validate
from lrmctl.recipe.load import LoadedRecipe, load_recipe
from lrmctl.recipe.lock import plugin_versions, recipe_hash
from lrmctl.runs.folder import RunFolder
from lrmctl.runs.jsonl import read_jsonl
from lrmctl.training.plan import plan_training
from lrmctl.training.resume import refuse_running_job

HERE = {"via": "detached", "options": {"nice": 1}}


def job(folder: Path, code: str) -> LaunchJob:
    env = {"A": "it's $here", "TEMPORARY": f"{TEMP}/x", "PYTHONUNBUFFERED": "1"}
    return LaunchJob("A run.1", [sys.executable, "-c", code], env, folder, folder / "logs" / "output.log")


def recipe(folder: Path, **launch: object) -> LoadedRecipe:
    file = folder / "sft.yaml"
    file.write_text(yaml.safe_dump(merged(SFT, {"launch": launch, "backend": {"device": "cpu"}})))
    return load_recipe(file)


def refused(folder: Path, **launch: object) -> str:
    with pytest.raises(RecipeError) as caught:
        validate(recipe(folder, **launch))
    return str(caught.value)


@pytest.mark.usefixtures("acme_launch")
def test_output_code_and_states_of_a_job_arrive_and_nothing_is_left(tmp_path: Path) -> None:
    seen: list[str] = []
    records: list[Record] = []
    show = "import os; print(os.environ['A'], os.environ['TEMPORARY'] == os.environ['TMPDIR'] + '/x'); os._exit(7)"
    code = launcher(HERE).run(job(tmp_path, show), seen.extend, lambda: None, records.append)
    states = [line for line in seen if line.startswith(STATE_LINE)]
    assert code == 7
    assert [line for line in seen if line not in states] == ["it's $here True"]
    assert all(line == f"{STATE_LINE}process {records[-1]['id']}" for line in states)
    assert not launcher(HERE).is_running(records[-1])


@pytest.mark.usefixtures("acme_launch")
def test_a_job_of_another_process_is_found_by_its_record_and_an_abort_ends_it(tmp_path: Path) -> None:
    seen: list[str] = []
    records: list[Record] = []
    found: list[JobState] = []

    def abort() -> Exception | None:
        if "ready" not in seen:
            return None
        kept = json.loads(json.dumps(job_record(HERE, records[-1])))
        found.append(launcher(kept).state(kept))
        return ValueError("the reward's own error")

    with pytest.raises(ValueError, match="own error"):
        launcher(HERE).run(
            job(tmp_path, "print('ready'); import time; time.sleep(300)"), seen.extend, abort, records.append
        )
    assert found == [JobState("running", f"process {records[-1]['id']}")]
    assert not launcher(HERE).is_running(records[-1])
    assert job_record(HERE, records[-1])["plugin"] == "acme-launch 0.3"


@pytest.mark.usefixtures("acme_launch")
def test_what_the_cluster_says_of_a_failed_job_is_in_the_log_and_the_code_is_its_own(tmp_path: Path) -> None:
    made = job(tmp_path, "")
    code = launcher({"via": "one", "address": "there"}).run(made, lambda _: None, lambda: None, lambda _: None)
    assert code == 3
    assert made.log.read_text() == "the queue lost it\n"


class Api(Launcher):
    """A cluster that answers at every second question, and keeps the output to itself."""

    poll_interval = 0.0
    output = b"one\ntwo\n"

    def __init__(self) -> None:
        self.asked, self.cancelled = 0, list[Record]()

    def record(self, job: LaunchJob) -> Record:
        return {"id": job.id}

    def submit(self, job: LaunchJob) -> Record:
        if job.gpus:
            raise RuntimeError("no quota")
        return {"url": "there"}

    def state(self, record: Record) -> JobState:
        assert record["url"] == "there"
        self.asked += 1
        if self.asked % 2:
            raise OSError("no answer")
        return JobState("waiting", "no node is free") if self.asked == 2 else JobState("done")

    def logs(self, record: Record, start: int) -> bytes:
        del record
        return self.output[start : start + 5] if self.asked else b""

    def cancel(self, record: Record) -> None:
        self.cancelled.append(record)


def test_a_cluster_without_a_shared_disk_sends_its_output_and_may_be_silent_for_a_while(tmp_path: Path) -> None:
    seen: list[str] = []
    records: list[Record] = []
    there, made = Api(), job(tmp_path, "")
    assert there.run(made, seen.extend, lambda: None, records.append) == 0
    assert sorted(seen) == [f"{STATE_LINE}no node is free", "one", "two"]
    assert records[0] == {"id": made.id}
    assert there.cancelled == [records[-1]]


def test_a_job_that_may_have_been_taken_is_cancelled_if_submitting_fails(tmp_path: Path) -> None:
    there, made = Api(), LaunchJob("r", ["x"], {}, tmp_path, tmp_path / "log", resources={"gpus": 1})
    with pytest.raises(RuntimeError, match="no quota"):
        there.run(made, lambda _: None, lambda: None, lambda _: None)
    assert there.cancelled == [{"id": made.id}]


def test_an_id_is_one_that_any_cluster_takes() -> None:
    long = LaunchJob("Ünder_score/" + "x" * 90, [], {}, Path(), Path("log"))
    assert len(long.id) <= 60
    assert long.id.startswith("lrmctl-nder-score-xxx")
    assert long.id != LaunchJob(long.name, [], {}, Path(), Path("log")).id


@pytest.mark.usefixtures("acme_launch")
def test_names_and_options_are_checked_before_anything_runs(tmp_path: Path) -> None:
    assert validate(recipe(tmp_path, via="acme-launch:detached", options={"nice": 3})) == []
    told = refused(tmp_path, via="detatched")
    assert "launch.via: there is no launcher called 'detatched'; did you mean 'detached'?" in told
    assert "pip install PACKAGE" in told
    assert "`pip install other-launch` if that is its package" in refused(tmp_path, via="other-launch:lsf")
    assert "launcher 'detached' has no option 'nise'; did you mean 'nice'?" in refused(
        tmp_path, via="detached", options={"nise": 3}
    )
    assert "launcher 'one' needs the option 'address'" in refused(tmp_path, via="one")
    assert "launch.address: the launcher 'detached' has no address" in refused(tmp_path, via="detached", address="x")
    with pytest.raises(RecipeError, match="starts jobs on one node, and the recipe has 2"):
        check_launch(HERE, nodes=2)
    with pytest.raises(LrmctlError, match="does not take these options: `nice` is from 0 to 19, not 30"):
        launcher({"via": "detached", "options": {"nice": 30}})


@pytest.mark.usefixtures("acme_launch")
def test_a_plan_shows_the_script_and_the_lock_names_the_package(tmp_path: Path) -> None:
    loaded = recipe(tmp_path, **HERE)
    plan = plan_training(loaded, runs_dir=tmp_path / "runs", allow_missing=True)
    assert plan.preview.startswith("#!/bin/bash\n")
    assert not (tmp_path / "runs").exists()
    assert plugin_versions(loaded) == {"acme-launch": "0.3"}
    assert recipe_hash(loaded) == recipe_hash(recipe(tmp_path, via="local"))
    with pytest.raises(RecipeError, match=r"launch.via.*there is no launcher called 'nowhere'"):
        plan_training(recipe(tmp_path, via="nowhere"), runs_dir=tmp_path / "runs", allow_missing=True)


def test_a_job_whose_package_is_gone_keeps_resume_out_and_says_what_to_install(
    acme_launch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = subprocess.Popen(["sleep", "300"], start_new_session=True)
    folder = RunFolder.create(tmp_path / "runs", "r")
    folder.set_status("running", job=job_record(HERE, {"id": process.pid}))
    with pytest.raises(RunExistsError, match=f"detached job {process.pid} .* is still running") as running:
        refuse_running_job(folder)
    assert running.value.fix == f"end it with `kill -- -{process.pid}`, then --resume"
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != str(acme_launch)])
    monkeypatch.setattr(registry._default, "_third_party", None)
    with pytest.raises(RunExistsError, match="cannot be told: there is no launcher called 'detached'") as lost:
        refuse_running_job(folder)
    assert "install acme-launch again" in lost.value.fix
    process.kill()
    process.wait()


@pytest.mark.slow
@pytest.mark.e2e
def test_a_training_is_killed_its_job_keeps_resume_out_and_then_it_goes_on(acme_launch: Path, tmp_path: Path) -> None:
    """The whole command: a job that outlives lrmctl, refused, ended, resumed to its end."""
    file = tmp_path / "sft.yaml"
    changes = {"train.epochs": 5, "save_every": 2, "backend": {"device": "cpu"}}
    file.write_text(yaml.safe_dump(merged(SFT, changes)))
    words = [sys.executable, "-m", "lrmctl", "train", str(file), "--runs-dir", str(tmp_path / "runs")]
    words += ["--launch", "acme-launch:detached"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(acme_launch), *filter(None, sys.path)])}
    folder = RunFolder(tmp_path / "runs" / "tiny-sft")
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL, env=env)
    while max((row["step"] for row in read_jsonl(folder.metrics)), default=0) < 3:
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    started = folder.status()["job"]
    os.killpg(started["id"], signal.SIGSTOP)  # so that it does not end meanwhile
    again = subprocess.run([*words, "--resume"], capture_output=True, text=True, check=False, env=env)
    assert again.returncode == 2
    assert f"acme-launch:detached job {started['id']}" in again.stderr
    assert f"end it with `kill -- -{started['id']}`" in again.stderr
    subprocess.run(["kill", "--", f"-{started['id']}"], check=True)
    os.killpg(started["id"], signal.SIGCONT)
    while Path(f"/proc/{started['id']}/cmdline").exists() and Path(f"/proc/{started['id']}/cmdline").read_bytes():
        time.sleep(0.1)
    done = subprocess.run([*words, "--resume"], capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    assert "going on from step" in done.stderr
    lock = json.loads(folder.lock.read_text())
    assert (lock["plugins"], lock["recipe"]["launch"]["via"]) == ({"acme-launch": "0.3"}, "acme-launch:detached")
    assert folder.status()["state"] == "done"
    assert not folder.status()["job"]
