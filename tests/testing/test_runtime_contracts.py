"""The contracts of trackers and backends, and `lrmctl plugin test` on what is installed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lrmctl.backends.base import Backend, Checkpoint, TrainJob, make_backend
from lrmctl.errors import RecipeError
from lrmctl.hooks.specs import TrackedRun, Tracker
from lrmctl.testing import ContractError, check_backend, check_tracker
from lrmctl.types import Plan


def test_a_tracker_hears_a_training_a_failure_and_a_later_command() -> None:
    heard: list[list[str]] = []

    class Noting(Tracker):
        def __init__(self) -> None:
            heard.append([])

        def __getattribute__(self, name: str) -> Any:
            if not name.startswith("_") and name in vars(Tracker):
                return lambda *_: heard[-1].append(name)
            return super().__getattribute__(name)

    check_tracker(Noting)
    assert heard == [
        ["run_started", "step", "rollouts", "step", "finished"],
        ["run_started", "step", "failed"],
        ["run_resumed", "evaluated", "analysed", "left"],
    ]


def test_a_tracker_that_raises_is_told_with_the_event() -> None:
    class Raising(Tracker):
        def step(self, step: int, metrics: Mapping[str, float]) -> None:
            raise KeyError(f"{step} of {len(metrics)}")

    with pytest.raises(ContractError, match=r"step: KeyError.*1 of 2"):
        check_tracker(Raising)


def test_a_tracker_without_a_method_is_told_which() -> None:
    class Alike:
        def run_started(self, run: TrackedRun) -> None: ...

    with pytest.raises(ContractError, match="no method run_resumed"):
        check_tracker(Alike)  # type: ignore[arg-type]  # what it is told


class Tried(Backend):
    name = "tried"

    def plan(self, job: TrainJob) -> Plan:
        if job.recipe.kind != "sft":
            raise RecipeError("trains sft only")
        return Plan("tried", "sft", ("true",), {}, {"data/rows.jsonl": json.dumps(list(job.rows))})

    def launch(self, *_: Any) -> Path:
        raise AssertionError("the check launches nothing")


class Writing(Tried):
    def plan(self, job: TrainJob) -> Plan:
        job.run_dir.mkdir(parents=True, exist_ok=True)
        return super().plan(job)


class Outside(Tried):
    def plan(self, job: TrainJob) -> Plan:
        return replace(super().plan(job), files={"../rows.jsonl": ""})


seen: list[int] = []


class Counting(Tried):
    def plan(self, job: TrainJob) -> Plan:
        seen.append(1)
        return replace(super().plan(job), env={"N": str(len(seen))})


class Remembering(Tried):
    def checkpoint(self, run_dir: Path) -> Checkpoint:
        return Checkpoint(1, run_dir, 0.0)


class Refusing(Tried):
    def plan(self, job: TrainJob) -> Plan:
        raise RecipeError(f"does not train {job.recipe.kind}")


def test_a_backend_that_plans_keeps_the_contract() -> None:
    check_backend(Tried())


@pytest.mark.slow
def test_the_backend_of_openrlhf_keeps_the_contract() -> None:
    check_backend(make_backend("openrlhf"))


@pytest.mark.parametrize(
    ("backend", "told"),
    [
        (Writing(), "planning writes files"),
        (Outside(), "not relative to the run's folder"),
        (Counting(), "two plans"),
        (Remembering(), "has no checkpoint"),
        (Refusing(), "plans none of"),
    ],
)
def test_a_backend_that_breaks_the_contract_is_told_how(backend: Backend, told: str) -> None:
    with pytest.raises(ContractError, match=told):
        check_backend(backend)


@pytest.mark.usefixtures("odd_rewards")
def test_a_distribution_or_a_name_is_tested_alone(lrmctl) -> None:
    whole = json.loads(lrmctl("plugin", "test", "odd-rewards", "--json").out)["data"]
    names = {c["name"] for c in whole}
    assert "odd-length" in names
    done = lrmctl("plugin", "test", "odd-length", "--json")
    (one,) = json.loads(done.out)["data"]
    assert (done.code, one["verdict"], one["distribution"]) == (0, "ok", "odd-rewards")
    assert one["latency_ms"]["batch"] == 64


@pytest.mark.usefixtures("odd_rewards")
def test_a_name_or_an_option_that_is_not_there_is_a_users_error(lrmctl, tmp_path: Path) -> None:
    unknown = lrmctl("plugin", "test", "odd-lenght")
    assert (unknown.code, "did you mean 'odd-length'?" in unknown.err) == (2, True)
    option = lrmctl("plugin", "test", "odd-length", "--option", "n=1")
    assert (option.code, "no option 'n'" in option.err) == (2, True)
    assert lrmctl("plugin", "test", "--option", "n=1").code == 2
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "pyproject.toml").write_text('[project]\nname = "acme-mine"\n')
    folder = lrmctl("plugin", "test", "./mine")
    assert (folder.code, "pip install -e ./mine" in folder.err) == (2, True)


@pytest.mark.usefixtures("odd_rewards")
def test_the_old_name_of_the_command_is_kept(lrmctl) -> None:
    assert lrmctl("plugin", "check", "odd-length").code == 0
    assert "  check" not in lrmctl("plugin", "--help").out
