"""Every fault of a reward in the real trainer: the run ends well with the failures counted, or with the true cause."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from judge_server import Ill, judge_server, judged_by

from lrmctl.errors import RewardError
from lrmctl.recipe.load import load_recipe
from lrmctl.runs.folder import RunFolder
from lrmctl.runs.jsonl import read_jsonl
from lrmctl.training.run import train

pytestmark = [pytest.mark.usefixtures("odd_rewards"), pytest.mark.slow, pytest.mark.e2e]

STEPS, PROMPTS, SAMPLES = 8, 8, 8
ALL = STEPS * PROMPTS * SAMPLES
NEUTRAL = {"on_failure": "neutral", "max_failure_rate": 0.2}


def run(folder: Path, *components: dict[str, Any], steps: int = STEPS, **reward: Any) -> RunFolder:
    recipe = {
        "kind": "rl",
        "name": "faults",
        "model": "lab:tiny",
        "prompts": [{"use": "lab-prompts", "options": {"n": 64}}],
        "reward": {"components": [{"use": "format"}, *components], **reward},
        "algorithm": {"steps": steps, "prompts_per_step": PROMPTS, "samples_per_prompt": SAMPLES},
        "rollout": {"max_new_tokens": 96},
        "optimizer": {"learning_rate": 1e-4, "micro_batch_size": 32},
        "max_len": 192,
    }
    (folder / "rl.yaml").write_text(yaml.safe_dump(recipe))
    try:
        return train(load_recipe(folder / "rl.yaml"), runs_dir=folder / "runs")
    finally:
        seen = RunFolder(folder / "runs" / "faults")
        found = list(read_jsonl(seen.rollouts))
        errors = [r["error"] for r in found if r["error"]]
        print("SEEN", folder.name, seen.status().get("state"), len(found), "rows", len(errors), "failed", errors[:1])
        print("SEEN", folder.name, "ended with:", seen.status().get("error"))


def rows(folder: RunFolder) -> list[dict[str, Any]]:
    return list(read_jsonl(folder.rollouts))


def failed(folder: RunFolder) -> list[str]:
    return [row["error"] for row in rows(folder) if row["error"]]


def odd(does: str, every: int = 100) -> dict[str, Any]:
    return {"use": "odd-faulty", "name": "odd", "options": {"every": every, "does": does}}


@pytest.mark.parametrize(
    ("does", "says"),
    [("raise", "a line that the parser does not know"), ("nan", "is nan"), ("inf", "is inf"), ("type", "is a str")],
)
def test_one_bad_score_in_a_hundred_is_counted_and_the_run_goes_on(tmp_path: Path, does: str, says: str) -> None:
    folder = run(tmp_path, odd(does), **NEUTRAL)
    assert folder.status()["state"] == "done"
    assert len(rows(folder)) == ALL
    assert 0 < len(failed(folder)) < 0.1 * ALL
    assert all(says in error for error in failed(folder))


def test_one_bad_score_in_a_hundred_ends_a_run_that_wants_it_so_with_the_true_cause(tmp_path: Path) -> None:
    with pytest.raises(RewardError, match=r"reward 'odd' failed on prompt .*a line that the parser does not know"):
        run(tmp_path, odd("raise"))
    assert RunFolder(tmp_path / "runs" / "faults").status()["state"] == "failed"


def test_rewards_that_hang_are_ended_and_the_run_goes_on(tmp_path: Path) -> None:
    folder = run(tmp_path, odd("sleep"), service={"time_limit": 2.0}, **NEUTRAL)
    assert folder.status()["state"] == "done"
    assert len(rows(folder)) == ALL
    assert 0 < len(failed(folder)) < 0.1 * ALL
    assert all("no reward from odd within 2 s" in error for error in failed(folder))


def test_a_reward_that_hangs_ends_a_run_that_wants_it_so_with_the_true_cause(tmp_path: Path) -> None:
    with pytest.raises(RewardError, match="no reward from odd within 2 s"):
        run(tmp_path, odd("sleep"), service={"time_limit": 2.0})


def test_a_judge_that_is_away_for_20_seconds_is_waited_for(tmp_path: Path) -> None:
    ill = Ill(down_after=60, down_for=20.0)
    with judge_server(ill) as url:
        folder = run(tmp_path, judged_by(url))
    assert ill.went_down
    assert (folder.status()["state"], len(rows(folder)), failed(folder)) == ("done", ALL, [])
    gaps = [b["seconds"] - a["seconds"] for a, b in zip(rows(folder), rows(folder)[1:], strict=False)]
    assert max(gaps) > 15


def test_a_judge_that_answers_500_now_and_then_is_asked_again(tmp_path: Path) -> None:
    with judge_server(Ill(status=500, every=5)) as url:
        folder = run(tmp_path, judged_by(url))
    assert (folder.status()["state"], len(rows(folder)), failed(folder)) == ("done", ALL, [])


def test_a_judge_that_answers_nothing_but_500_ends_the_run_with_that_cause(tmp_path: Path) -> None:
    with judge_server(Ill(status=500)) as url, pytest.raises(RewardError, match=r"reward 'guard' failed.*500"):
        run(tmp_path, judged_by(url, patience=5.0))


def test_a_judge_that_answers_garbage_is_never_safe_and_ends_the_run(tmp_path: Path) -> None:
    with judge_server(Ill(text="I am a teapot")) as url, pytest.raises(RewardError, match="reward 'guard' failed"):
        run(tmp_path, judged_by(url))
    found = rows(RunFolder(tmp_path / "runs" / "faults"))
    assert {r["components"]["guard"]["value"] for r in found if r["components"]["guard"]["error"]} == {None}


def test_garbage_now_and_then_is_counted_and_the_run_goes_on(tmp_path: Path) -> None:
    with judge_server(Ill(text="I am a teapot", every=40)) as url:
        folder = run(tmp_path, judged_by(url), **NEUTRAL)
    assert (folder.status()["state"], len(rows(folder))) == ("done", ALL)
    assert 0 < len(failed(folder)) < 0.2 * ALL


def kill_service(when: Callable[[], bool], killed: list[int]) -> None:
    """Kill the reward service of this process as soon as `when` is true."""
    while not when():
        time.sleep(0.02)
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if "lrmctl-reward-service" in process.cmdline():
                os.kill(process.pid, signal.SIGKILL)
                killed.append(process.pid)


def test_a_service_that_is_killed_while_training_goes_on_comes_back_and_the_run_ends_well(tmp_path: Path) -> None:
    folder, killed = RunFolder(tmp_path / "runs" / "faults"), list[int]()

    def in_step(n: int) -> Callable[[], bool]:
        # in the middle of a step's rollouts: some are answered, some are under way
        return lambda: sum(1 for _ in read_jsonl(folder.rollouts)) > n * PROMPTS * SAMPLES + 10

    slow = {"use": "odd-slow-each", "options": {"seconds": 0.02}}
    words = {"max_batch": 8}
    killers = [threading.Thread(target=kill_service, args=(in_step(n), killed), daemon=True) for n in (1, 4)]
    for killer in killers:
        killer.start()
    assert run(tmp_path, slow, service=words).status()["state"] == "done"
    assert len(killed) == 2
    found = rows(folder)
    assert failed(folder) == []
    assert [row["n"] for row in found] == list(range(1, len(found) + 1))
    assert (
        ALL <= len(found) <= ALL + 2 * PROMPTS * SAMPLES
    )  # a rollout whose reply was lost is posted and written again
