"""Checks of the machine: told in order, each with a reason and a fix, whatever one of them does."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lrmctl.doctor import CHECKERS, Check, Machine, examine, hardware, material, packages
from lrmctl.doctor.check import run_checks


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "runs")


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    packages.version.cache_clear()
    hardware.nvidia_gpus.cache_clear()
    yield
    monkeypatch.undo()
    packages.version.cache_clear()
    hardware.nvidia_gpus.cache_clear()


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program `nvidia-smi` that tells of two GPUs, one of them in use."""
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'Some GPU, 580.1, 80000, 79000'\necho 'Some GPU, 580.1, 80000, 1000'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return program


def test_every_check_has_a_verdict_and_whatever_is_wrong_has_a_fix(machine: Machine) -> None:
    found = list(examine(machine.runs_dir))
    assert {"python", "torch", "openrlhf", "ray", "ports", "runs", "disk", "hub token", "plugins"} <= {
        c.id for c in found
    }
    assert all(c.reason and (c.fix or c.verdict == "ok") for c in found)


def test_every_check_is_listed_and_made_by_name() -> None:
    from lrmctl.hooks import registry

    listed = {entry.name for entry in registry.names("doctor-check") if entry.builtin}
    assert listed == {name for name, _ in CHECKERS} | {"plugins"}
    assert registry.make("doctor-check", "ports") is hardware.ports


def test_checks_are_told_in_order_and_one_that_raises_is_told_too(machine: Machine) -> None:
    from threading import Event

    last = Event()

    def slow(_: Machine) -> Iterable[Check]:
        last.wait(20)  # until the one after it has run
        return [Check("slow", "ok", "there")]

    def broken(_: Machine) -> Iterable[Check]:
        last.set()
        raise OSError("no such device")

    found = list(run_checks([("slow", slow), ("broken", broken)], machine))
    assert [c.id for c in found] == ["slow", "broken"]
    assert found[1].verdict == "warn"
    assert "OSError: no such device" in found[1].reason


@pytest.mark.usefixtures("driver")
def test_gpus_are_those_of_the_driver_with_their_free_memory(machine: Machine) -> None:
    first, second = hardware.gpu_memory(machine)
    assert (first.verdict, second.verdict) == ("ok", "warn")
    assert "77.1 of 78.1 GiB free" in first.reason
    assert second.fix == "see who uses it: nvidia-smi"


@pytest.mark.usefixtures("driver")
def test_a_torch_that_does_not_see_the_gpus_is_a_finding(machine: Machine) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("torch sees a GPU here")
    (check,) = hardware.torch(machine)
    assert check.verdict in ("warn", "fail")
    assert "2 GPU(s)" in check.reason


def test_a_driver_that_fails_is_no_gpu(driver: Path) -> None:
    driver.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'\nexit 9\n")
    assert hardware.nvidia_gpus() == ()


def test_pins_of_openrlhf_are_held_against_what_is_installed(monkeypatch: pytest.MonkeyPatch, machine: Machine) -> None:
    asked = [
        "ray[default]==1.0",
        "torch",
        "flash-attn==2.8.3",
        'vllm==0.29.0; extra == "vllm"',
        "nowhere>=2",
        "pytest>=1",
    ]
    monkeypatch.setattr(metadata, "requires", lambda _: asked)
    unmet = dict(packages.unmet_pins())
    assert set(unmet) == {"ray==1.0", "nowhere>=2"}
    assert unmet["nowhere>=2"] is None
    (check,) = packages.pins(machine)
    assert check.verdict == "warn"
    assert check.fix == "pip install 'ray==1.0' 'nowhere>=2'"


@pytest.mark.usefixtures("driver")
def test_on_a_gpu_the_pins_of_its_kernels_count(monkeypatch: pytest.MonkeyPatch, machine: Machine) -> None:
    monkeypatch.setattr(metadata, "requires", lambda _: ["flash-attn==2.8.3"])
    assert dict(packages.unmet_pins()) == {"flash-attn==2.8.3": None}
    assert {c.verdict for c in packages.gpu_kernels(machine)} == {"warn"}


def test_versions_that_were_run_together_are_told_from_others(
    monkeypatch: pytest.MonkeyPatch, machine: Machine
) -> None:
    tested = packages.tested_versions()["h200"].versions
    monkeypatch.setattr(packages, "version", lambda name: f"{tested[name]}.0+cu130" if name in tested else None)
    (same,) = packages.combination(machine)
    assert (same.verdict, "H200" in same.reason) == ("ok", True)
    monkeypatch.setattr(packages, "version", lambda name: {**tested, "ray": "2.55.0", "torch": "2.1"}.get(name))
    (other,) = packages.combination(machine)
    assert other.verdict == "warn"
    assert "torch 2.1 (tested: 2.11)" in other.reason


def test_versions_here_are_those_of_the_lock_file() -> None:
    """The entry for CPU says what `constraints.txt` installs."""
    file = Path(__file__).parents[2] / "constraints.txt"
    pinned = dict(line.split("==") for line in file.read_text().splitlines() if "==" in line)
    assert all(
        packages._same(pinned[name], wanted) for name, wanted in packages.tested_versions()["cpu"].versions.items()
    )


def test_a_taken_port_of_ray_is_told(monkeypatch: pytest.MonkeyPatch, machine: Machine) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        monkeypatch.setattr(hardware, "_PORTS", {other.getsockname()[1]: "a cluster"})
        (check,) = hardware.ports(machine)
    assert (check.verdict, "(a cluster)" in check.reason) == ("warn", True)


def test_little_shared_memory_is_told(monkeypatch: pytest.MonkeyPatch, machine: Machine) -> None:
    monkeypatch.setattr(hardware.shutil, "disk_usage", lambda _: SimpleNamespace(total=64 * 1024**2))
    (check,) = hardware.shared_memory(machine)
    assert "--shm-size" in check.fix


def test_data_sets_of_the_own_folder_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, machine: Machine) -> None:
    monkeypatch.setenv("LRMCTL_DATA_DIR", str(tmp_path))
    (tmp_path / "advbench").mkdir()
    (before,) = material.data_sets(machine)
    (tmp_path / "advbench" / "advbench_behaviors.csv").write_text("goal,target\na,b\n")
    (after,) = material.data_sets(machine)
    assert int(after.reason.split()[0]) == int(before.reason.split()[0]) + 1
    monkeypatch.setenv("LRMCTL_DATA_DIR", str(tmp_path / "nowhere"))
    (missing,) = material.data_sets(machine)
    assert missing.verdict == "fail"


def test_a_hub_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch, machine: Machine) -> None:
    from huggingface_hub import constants

    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", address)
    check = next(iter(material.hub(machine)))
    assert check.verdict == "warn"
    assert "HF_HUB_OFFLINE" in check.fix


def test_the_command_tells_the_same_as_text_and_as_json(lrmctl: Any) -> None:
    text, data = lrmctl("doctor"), lrmctl("doctor", "--json")
    found = json.loads(data.out)["data"]
    assert (text.code, data.code) == (0, 0)
    assert all(f"{one['verdict']:<5} {one['id']}" in text.out for one in found)
    assert len(found) >= len(CHECKERS)


def test_a_plugin_brings_a_check_of_its_own(lrmctl: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lrmctl.hooks import registry

    info = tmp_path / "site" / "moon_phase-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: moon-phase\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lrmctl]\nmoon = moon_phase\n")
    (tmp_path / "site" / "moon_phase.py").write_text(
        "from lrmctl import hookimpl\n"
        "from lrmctl.doctor import Check\n"
        "def checker():\n"
        "    return lambda machine: [Check('moon', 'warn', 'it is full', 'wait')]\n"
        "@hookimpl\n"
        "def lrmctl_doctor_checks(register):\n"
        "    register('moon', checker, summary='the moon')\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setattr(registry._default, "_third_party", None)
    assert "warn  moon" in lrmctl("doctor").out
