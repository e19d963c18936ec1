"""Batch jobs: the script that is handed over, and a real Slurm of one node that runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from fake_slurm import FakeSlurm
from real_slurm import slurm_of_one_node, wait_until_idle
from training_recipes import RL, SFT, merged

from lrmctl.backends.launch.base import STATE_LINE
from lrmctl.backends.launch.job import LaunchJob
from lrmctl.backends.launch.launchers import launcher
from lrmctl.backends.launch.slurm import Known, job_state
from lrmctl.backends.launch.supervisor import TEMP
from lrmctl.backends.triage import diagnose
from lrmctl.errors import LrmctlError
from lrmctl.recipe.load import load_recipe
from lrmctl.runs.folder import RunFolder
from lrmctl.runs.jsonl import read_jsonl
from lrmctl.training.run import train


def job(folder: Path, argv: list[str], nodes: int = 1, gpus: int = 8, kind: str = "rl") -> LaunchJob:
    log = folder / "logs" / "attempt-1" / "output.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    env = {"RAY_TMPDIR": TEMP, "HF_DATASETS_CACHE": f"{TEMP}/datasets", "QUOTED": "a 'b' $c"}
    return LaunchJob("big run", argv, env, folder, log, resources={"nodes": nodes, "gpus": gpus}, kind=kind)


def script(made: LaunchJob, **section: object) -> str:
    text = launcher({"via": "slurm", **section}).preview(made)
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    return text


def test_a_script_asks_for_nodes_and_gpus_and_takes_the_recipes_options(tmp_path: Path) -> None:
    options = {"partition": "gpu", "time": "12:00:00", "exclusive": None}
    text = script(job(tmp_path, ["train"], nodes=2), options=options, setup=["module load cuda"])
    for line in ("--nodes=2", "--gpus-per-node=8", "--partition=gpu", "--time=12:00:00", "--exclusive"):
        assert f"#SBATCH {line}\n" in text
    assert text.index("module load cuda") < text.index("ray.scripts.scripts start --head")


def test_gpus_that_the_options_ask_for_are_not_asked_for_twice(tmp_path: Path) -> None:
    text = script(job(tmp_path, ["train"]), options={"gres": "gpu:h100:8"})
    assert "--gres=gpu:h100:8" in text
    assert "gpus-per-node" not in text


def test_rl_on_several_nodes_starts_a_ray_cluster_and_on_one_it_starts_none(tmp_path: Path) -> None:
    several = script(job(tmp_path, ["train"], nodes=3))
    assert "srun --overlap --nodes=2 --ntasks=2 --exclude=" in several
    assert "export RAY_ADDRESS=$head_ip:$port" in several
    assert " start --head" not in script(job(tmp_path, ["train"]))


def test_sft_on_several_nodes_meets_through_torchrun(tmp_path: Path) -> None:
    argv = ["python", "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "8", "--module", "m"]
    text = script(job(tmp_path, argv, nodes=2, kind="sft"))
    assert '--nnodes 2 --rdzv_id "$SLURM_JOB_ID" --rdzv_backend c10d --rdzv_endpoint "$head_ip:$port"' in text
    assert "--standalone" not in text
    assert "srun --nodes=2" in text


def test_values_arrive_in_the_job_as_they_were_and_its_code_is_written_down(tmp_path: Path) -> None:
    show = "import os; print(os.environ['QUOTED'], os.environ['RAY_TMPDIR'], os.environ['HF_DATASETS_CACHE']); exit(7)"
    made = job(tmp_path, [sys.executable, "-c", show], gpus=0)
    done = subprocess.run(
        ["bash", "-c", script(made)],
        env={**os.environ, "SLURM_JOB_ID": f"test{os.getpid()}"},
        capture_output=True,
        text=True,
        check=False,
    )
    temp = f"/tmp/lrtest{os.getpid()}"
    assert done.stdout.strip() == f"a 'b' $c {temp} {temp}/datasets"
    assert done.returncode == 7
    assert made.log.with_name(f"exit-code-test{os.getpid()}").read_text().strip() == "7"
    assert not Path(temp).exists()


def test_without_slurm_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LrmctlError, match="sbatch is not here"):
        launcher({"via": "slurm"}).check()


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    made = FakeSlurm(tmp_path / "slurm")
    monkeypatch.setenv("PATH", f"{made.bin}{os.pathsep}{os.environ['PATH']}")
    return made


@pytest.mark.usefixtures("fake")
def test_a_job_is_followed_to_its_end_by_the_code_that_its_script_wrote(tmp_path: Path) -> None:
    seen: list[str] = []
    started: dict[str, str] = {}
    made = job(tmp_path, [sys.executable, "-c", "print('one'); exit(7)"], gpus=0)
    assert launcher({"via": "slurm"}).run(made, seen.extend, lambda: None, started.update) == 7
    assert [line for line in seen if not line.startswith(STATE_LINE)] == ["one"]
    assert started["id"] == "1"
    assert not launcher({"via": "slurm"}).is_running(started)


def test_an_abort_cancels_a_job_that_waits_and_why_it_waits_was_told(tmp_path: Path, fake: FakeSlurm) -> None:
    fake.set("hold", "Resources")
    seen: list[str] = []
    told = f"{STATE_LINE}Slurm job 1 waits: Resources"
    reason = ValueError("the reward's own error")
    made = job(tmp_path, ["true"], gpus=0)
    with pytest.raises(ValueError, match="own error"):
        launcher({"via": "slurm"}).run(made, seen.extend, lambda: reason if seen else None, lambda _: None)
    assert seen == [told]
    assert [one["state"] for one in fake.jobs] == ["CANCELLED"]


@pytest.mark.parametrize(
    ("state", "code", "told"),
    [
        ("TIMEOUT", 143, "Slurm ended job 12 at its time limit"),
        ("OUT_OF_MEMORY", 137, "Slurm ended job 12 for using more memory than it asked for"),
        ("NODE_FAIL", None, "Slurm ended job 12: NODE_FAIL"),
        ("CANCELLED", 143, "Slurm job 12 was ended from outside (CANCELLED)"),
    ],
)
def test_what_the_scheduler_says_of_a_job_that_it_ended_is_the_cause(
    tmp_path: Path, state: str, code: int | None, told: str
) -> None:
    found = job_state("12", code, Known(state))
    assert (found.state, found.exit_code) == ("failed", 1 if code is None else code)
    log = tmp_path / "output.log"
    log.write_text(f"step 1\n{found.reason}\n")
    assert diagnose(log, found.exit_code or 1).what == told


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with slurm_of_one_node(tmp_path_factory.mktemp("slurm")) as here:
        yield here


def jobs() -> str:
    return subprocess.run(["squeue", "-h"], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.slow
@pytest.mark.usefixtures("slurm")
def test_a_jobs_output_and_code_arrive(tmp_path: Path) -> None:
    seen: list[str] = []
    started: dict[str, str] = {}
    made = job(tmp_path, [sys.executable, "-c", "print('one'); exit(7)"], gpus=0)
    code = launcher({"via": "slurm"}).run(made, seen.extend, lambda: None, started.update)
    assert code == 7
    assert "one" in seen
    assert not launcher({"via": "slurm"}).is_running(started)
    wait_until_idle()


@pytest.mark.slow
@pytest.mark.usefixtures("slurm")
def test_an_abort_cancels_the_job(tmp_path: Path) -> None:
    seen: list[str] = []
    made = job(tmp_path, [sys.executable, "-uc", "print('ready'); import time; time.sleep(300)"], gpus=0)
    reason = ValueError("the reward's own error")
    with pytest.raises(ValueError, match="own error"):
        launcher({"via": "slurm"}).run(made, seen.extend, lambda: reason if "ready" in seen else None, lambda _: None)
    wait_until_idle()
    assert jobs() == ""


@pytest.mark.slow
@pytest.mark.usefixtures("slurm")
def test_a_job_that_the_scheduler_ends_says_why(tmp_path: Path) -> None:
    started: dict[str, str] = {}
    made = job(tmp_path, [sys.executable, "-c", "import time; time.sleep(300)"], gpus=0)

    def on_lines(lines: list[str]) -> None:
        if any(line.endswith("runs") for line in lines):
            subprocess.run(["scancel", started["id"]], check=True)

    code = launcher({"via": "slurm"}).run(made, on_lines, lambda: None, started.update)
    assert diagnose(made.log, code).what == f"Slurm job {started['id']} was ended from outside (CANCELLED)"
    wait_until_idle()


@pytest.mark.slow
@pytest.mark.usefixtures("slurm")
@pytest.mark.e2e
def test_an_rl_recipe_trains_through_slurm(tmp_path: Path) -> None:
    launch = {"via": "slurm", "reward_host": "127.0.0.1"}
    recipe = merged(RL, {"algorithm.steps": 2, "launch": launch, "backend": {"device": "cpu"}})
    (tmp_path / "rl.yaml").write_text(yaml.safe_dump(recipe))
    folder = train(load_recipe(tmp_path / "rl.yaml"), runs_dir=tmp_path / "runs")
    assert [row["step"] for row in read_jsonl(folder.metrics)] == [1, 2]
    assert folder.status()["state"] == "done"
    script = folder.logs / "attempt-1" / "job.sh"
    assert f"--reward.remote_url file:{folder.path / 'reward-url'}" in script.read_text()
    assert script.stat().st_mode & 0o077 == 0


@pytest.mark.slow
@pytest.mark.usefixtures("slurm")
@pytest.mark.e2e
def test_a_job_that_outlived_a_killed_lrmctl_keeps_resume_out(tmp_path: Path) -> None:
    recipe = merged(SFT, {"train.epochs": 200, "launch": {"via": "slurm"}, "backend": {"device": "cpu"}})
    file = tmp_path / "sft.yaml"
    file.write_text(yaml.safe_dump(recipe))
    words = [sys.executable, "-m", "lrmctl", "train", str(file), "--runs-dir", str(tmp_path / "runs")]
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    folder = RunFolder(tmp_path / "runs" / "tiny-sft")
    while not folder.status().get("job"):
        assert process.poll() is None
        time.sleep(0.1)
    number = folder.status()["job"]["id"]
    process.send_signal(signal.SIGKILL)
    process.wait()
    again = subprocess.run([*words, "--resume"], capture_output=True, text=True, check=False)
    subprocess.run(["scancel", number], check=True)
    assert again.returncode == 2
    assert f"slurm job {number}" in again.stderr
    assert f"scancel {number}" in again.stderr
    wait_until_idle()
