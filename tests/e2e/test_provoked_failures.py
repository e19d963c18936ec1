"""Failures that are provoked in the real trainer: what the user reads is the first root cause."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Thread

import psutil
import pytest
import yaml
from training_recipes import RL, SFT, merged

from lrmctl.backends.base import TrainJob
from lrmctl.backends.openrlhf.backend import OpenRlhf
from lrmctl.errors import BackendError, LrmctlError
from lrmctl.lab import base_path
from lrmctl.recipe.load import load_recipe
from lrmctl.recipe.schema.recipes import SftRecipe
from lrmctl.runs.folder import RunFolder
from lrmctl.training.run import train
from lrmctl.types import Plan

Edit = Callable[[Plan], Plan]


def fails(run: Path, edit: Edit = lambda plan: plan, **changes: object) -> BackendError:
    """The error of a tiny SFT whose plan is edited before the launch."""
    run.mkdir(exist_ok=True)
    words = {"backend.device": "cpu", **{k.replace("__", "."): v for k, v in changes.items()}}
    recipe = SftRecipe.model_validate(merged(SFT, words))
    rows = [{"prompt": f"p{i}", "response": "1+1=2"} for i in range(64)]
    backend = OpenRlhf()
    plan = edit(backend.plan(TrainJob(recipe, base_path(), run, rows)))
    with pytest.raises(BackendError) as caught:
        backend.launch(plan, run, lambda _: None, lambda: None)
    assert caught.value.exit_code == 3
    return caught.value


@pytest.mark.e2e
def test_a_module_that_is_missing_is_named(tmp_path: Path) -> None:
    package = tmp_path / "site" / "deepspeed"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("import a_module_that_is_not_there\n")

    def broken(plan: Plan) -> Plan:
        path = f"{plan.env['PYTHONPATH']}{os.pathsep}{package.parent}"
        return replace(plan, env={**plan.env, "PYTHONPATH": path})

    error = fails(tmp_path / "run", broken)
    assert error.what == "the Python module 'a_module_that_is_not_there' is missing"


@pytest.mark.slow
@pytest.mark.e2e
def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        error = fails(tmp_path / "run", lambda plan: replace(plan, env={**plan.env, "MASTER_PORT": port}))
    assert error.what == "a port that the trainer needs is taken"


@pytest.mark.slow
@pytest.mark.e2e
@pytest.mark.parametrize("gigabytes", [1, 3], ids=["while importing", "while training"])
def test_a_machine_without_enough_memory_is_said(tmp_path: Path, gigabytes: int) -> None:
    def limited(plan: Plan) -> Plan:
        return replace(plan, argv=("bash", "-c", f'ulimit -v {gigabytes}000000; exec "$@"', "limited", *plan.argv))

    error = fails(tmp_path / "run", limited)
    assert error.what == "the machine ran out of memory"
    assert "micro_batch_size" in error.fix


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder with room for the data and the logs, but not for a checkpoint."""
    folder = tmp_path / "small"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.e2e
def test_a_disk_that_fills_up_at_a_checkpoint_is_said(small_disk: Path, tmp_path: Path) -> None:
    (tmp_path / "sft.yaml").write_text(yaml.safe_dump(merged(SFT, {"save_every": 2, "backend.device": "cpu"})))
    with pytest.raises(BackendError) as caught:
        train(load_recipe(tmp_path / "sft.yaml"), runs_dir=small_disk)
    assert "the disk is full" in caught.value.what
    assert caught.value.fix == "free some space"


def model_with(folder: Path, name: str, text: str) -> Path:
    """The lab's base with one file replaced."""
    shutil.copytree(base_path(), folder)
    (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("tokenizer.json", "{", "tokenizer cannot be loaded"),
        ("chat_template.jinja", "{% for x in %}", "chat template"),
        ("chat_template.jinja", "{{ raise_exception('only for chats of robots') }}", "only for chats of robots"),
    ],
    ids=["tokenizer", "template that is no template", "template that refuses"],
)
def test_a_bad_tokenizer_or_template_is_said_before_anything_is_made(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    model = model_with(tmp_path / "model", name, text)
    (tmp_path / "sft.yaml").write_text(yaml.safe_dump(SFT))
    with pytest.raises(LrmctlError, match=words) as caught:
        train(load_recipe(tmp_path / "sft.yaml"), runs_dir=tmp_path / "runs", model=str(model))
    assert caught.value.exit_code == 2
    assert not (tmp_path / "runs").exists()


def kill_when_there(folder: RunFolder, title: str, killed: list[int]) -> None:
    """Kill the Ray worker of this name that belongs to a run, once its first step has ended."""
    while not folder.metrics.exists() or not folder.metrics.read_text():
        time.sleep(0.1)
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.cwd() == str(folder.path) and title in " ".join(process.cmdline()):  # this run's, no other's
                process.send_signal(signal.SIGKILL)
                killed.append(process.pid)


@pytest.mark.slow
@pytest.mark.e2e
def test_a_worker_that_was_killed_is_said(tmp_path: Path) -> None:
    changes = {"algorithm.steps": 60, "backend.device": "cpu"}
    (tmp_path / "rl.yaml").write_text(yaml.safe_dump(merged(RL, changes)))
    folder, killed = RunFolder(tmp_path / "runs" / "tiny-rl"), list[int]()
    killer = Thread(target=kill_when_there, args=(folder, "ray::PolicyModelActor", killed), daemon=True)
    killer.start()
    with pytest.raises(BackendError) as caught:
        train(load_recipe(tmp_path / "rl.yaml"), runs_dir=tmp_path / "runs")
    killer.join(5)
    assert killed
    assert "a worker of the trainer was killed (PolicyModelActor" in caught.value.what
    assert folder.status()["error"] == caught.value.what
