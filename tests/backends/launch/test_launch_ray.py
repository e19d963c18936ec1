"""Jobs of a Ray cluster: what is submitted, and a real cluster of one node on CPU that runs it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray_cluster import ray_cluster
from training_recipes import RL, SFT, merged

from lrmctl.backends.launch.job import LaunchJob
from lrmctl.backends.launch.launchers import launcher
from lrmctl.backends.launch.supervisor import TEMP
from lrmctl.errors import LrmctlError
from lrmctl.recipe.load import load_recipe
from lrmctl.runs.folder import RunFolder
from lrmctl.runs.jsonl import read_jsonl
from lrmctl.training.run import train


def job(folder: Path, argv: list[str], kind: str = "rl") -> LaunchJob:
    log = folder / "output.log"
    env = {"A": "1", "RAY_ADDRESS": "local", "RAY_TMPDIR": TEMP, "HF_DATASETS_CACHE": f"{TEMP}/datasets"}
    return LaunchJob("run", argv, env, folder, log, resources={"nodes": 1, "gpus": 2}, kind=kind)


def test_a_job_takes_its_variables_along_but_none_of_a_cluster_of_its_own(tmp_path: Path) -> None:
    shown = launcher({"via": "ray", "address": "http://head:8265"}).preview(job(tmp_path, ["train", "a b"]))
    assert "A=1" in shown
    assert f"HF_DATASETS_CACHE={tmp_path}/temp/datasets" in shown
    assert "exec train 'a b'" in shown
    assert "RAY_ADDRESS" not in shown
    assert "RAY_TMPDIR" not in shown


def test_a_cluster_has_to_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)
    with pytest.raises(LrmctlError, match="which Ray cluster"):
        launcher({"via": "ray"}).check()


def test_without_a_cluster_nothing_is_made(tmp_path: Path) -> None:
    launch = {"via": "ray", "address": "http://127.0.0.1:1"}
    recipe = merged(SFT, {"launch": launch, "backend": {"device": "cpu"}})
    (tmp_path / "sft.yaml").write_text(yaml.safe_dump(recipe))
    with pytest.raises(LrmctlError, match="no Ray cluster") as caught:
        train(load_recipe(tmp_path / "sft.yaml"), runs_dir=tmp_path / "runs")
    assert caught.value.exit_code == 2
    assert not (tmp_path / "runs").exists()


def test_several_nodes_are_refused_where_there_is_one(tmp_path: Path) -> None:
    recipe = merged(RL, {"layout": {"nodes": 2}})
    (tmp_path / "rl.yaml").write_text(yaml.safe_dump(recipe))
    with pytest.raises(LrmctlError, match="2 nodes are not one machine"):
        train(load_recipe(tmp_path / "rl.yaml"), runs_dir=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The dashboard of a Ray head with GPUs that it only counts."""
    with ray_cluster() as address:
        yield address


@pytest.mark.slow
def test_a_jobs_output_and_code_arrive(cluster: str, tmp_path: Path) -> None:
    seen: list[str] = []
    started: dict[str, str] = {}
    there = launcher({"via": "ray", "address": cluster})
    show = "import os; print('A is', os.environ['A']); os._exit(7)"
    code = there.run(job(tmp_path, [sys.executable, "-uc", show]), seen.extend, lambda: None, started.update)
    assert code == 7
    assert "A is 1" in seen
    assert not there.is_running(started)
    assert not (tmp_path / "temp").exists()


@pytest.mark.slow
def test_an_abort_stops_the_job_and_another_one_can_be_found_and_stopped(cluster: str, tmp_path: Path) -> None:
    seen: list[str] = []
    started: dict[str, str] = {}
    running: list[bool] = []
    there = launcher({"via": "ray", "address": cluster})
    reason = ValueError("the reward's own error")

    def abort() -> Exception | None:
        if "ready" not in seen:
            return None
        running.append(there.is_running(started))
        return reason

    with pytest.raises(ValueError, match="own error"):
        there.run(
            job(tmp_path, [sys.executable, "-uc", "print('ready'); import time; time.sleep(300)"]),
            seen.extend,
            abort,
            started.update,
        )
    assert running == [True]
    assert not there.is_running(started)


@pytest.mark.slow
@pytest.mark.e2e
def test_an_rl_recipe_trains_as_a_job_of_the_cluster(cluster: str, tmp_path: Path) -> None:
    launch = {"via": "ray", "address": cluster, "reward_host": "127.0.0.1"}
    recipe = merged(RL, {"algorithm.steps": 2, "launch": launch, "backend": {"device": "cpu"}})
    (tmp_path / "rl.yaml").write_text(yaml.safe_dump(recipe))
    folder = train(load_recipe(tmp_path / "rl.yaml"), runs_dir=tmp_path / "runs")
    assert [row["step"] for row in read_jsonl(folder.metrics)] == [1, 2]
    assert folder.status()["state"] == "done"
    assert "Global step 2" in (folder.logs / "attempt-1" / "output.log").read_text()
    argv = json.loads(folder.plan.read_text())["argv"]
    assert argv[argv.index("--reward.remote_url") + 1] == f"file:{folder.path / 'reward-url'}"


def long_sft(cluster: str, tmp_path: Path) -> tuple[list[str], RunFolder]:
    """The command of a run of many minutes on the cluster, and its folder."""
    launch = {"via": "ray", "address": cluster}
    recipe = merged(SFT, {"train.epochs": 400, "launch": launch, "backend": {"device": "cpu"}})
    file = tmp_path / "sft.yaml"
    file.write_text(yaml.safe_dump(recipe))
    words = [sys.executable, "-m", "lrmctl", "train", str(file), "--runs-dir", str(tmp_path / "runs")]
    return words, RunFolder(tmp_path / "runs" / "tiny-sft")


def wait_for_a_step(process: subprocess.Popen[Any], folder: RunFolder) -> None:
    while not list(read_jsonl(folder.metrics)):
        assert process.poll() is None
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.e2e
def test_an_interrupt_stops_the_job_and_says_how_to_go_on(cluster: str, tmp_path: Path) -> None:
    words, folder = long_sft(cluster, tmp_path)
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    wait_for_a_step(process, folder)
    started = folder.status()["job"]
    assert launcher(started).is_running(started)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.strip().splitlines()[-1].startswith("to continue: lrmctl train ")
    assert not launcher(started).is_running(started)


@pytest.mark.slow
@pytest.mark.e2e
def test_a_job_that_outlived_a_killed_lrmctl_keeps_resume_out_until_it_is_stopped(cluster: str, tmp_path: Path) -> None:
    words, folder = long_sft(cluster, tmp_path)
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    wait_for_a_step(process, folder)
    process.send_signal(signal.SIGKILL)
    process.wait()
    again = subprocess.run([*words, "--resume"], capture_output=True, text=True, check=False)
    started = folder.status()["job"]
    stop = launcher(started).stop_command(started).replace("ray ", f"{sys.executable} -m ray.scripts.scripts ", 1)
    subprocess.run(stop, shell=True, check=True, capture_output=True)
    assert again.returncode == 2
    assert f"ray job {started['id']}" in again.stderr
    assert launcher(started).stop_command(started) in again.stderr
    assert not launcher(started).is_running(started)
