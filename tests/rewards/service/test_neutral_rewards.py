"""A failed reward teaches nothing: shown on the advantages that the installed OpenRLHF makes of what it is told."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from calls import good, post, rows, service

from lrmctl.backends.openrlhf.cpu import cpu_env
from lrmctl.recipe.schema.algorithm import Algorithm
from lrmctl.rewards.service.groups import rounded
from lrmctl.rewards.service.protocol import numbered
from lrmctl.types import Prompt

pytestmark = pytest.mark.e2e

FAIL = None
N = 8
GROUPS: Mapping[str, Sequence[float | None]] = {
    "unsafe": [-10.0] * 7 + [FAIL],
    "safe": [FAIL] + [1.0] * 7,
    "thirds": [0.1] * 7 + [FAIL],
    "mixed": [1.0, 0.0, 1.0, FAIL, 1.0, 1.0, 0.0, 0.0],
    "two": [FAIL, 0.5, 0.5, 1.0, FAIL, 0.0, 0.0, 0.0],
    "none": [FAIL] * 8,
}
ESTIMATORS = {
    "grpo": "group_norm",
    "dr_grpo": "dr_grpo",
    "rloo": "rloo",
    "reinforce_pp": "reinforce_baseline",
    "ppo": "gae",
    "reinforce": "reinforce",
    "flash_reinforce": "flash_reinforce",
}
REWARD = """
def score(trace):
    if trace.answer.startswith("fail"):
        raise ValueError("cannot read it")
    return float(trace.answer)


def one(trace):
    return 1.0
"""


def component(folder: Path) -> dict[str, Any]:
    (folder / "own.py").write_text(REWARD)
    return {"fn": f"{folder / 'own.py'}:score"}


def calls(group: Sequence[float | None], name: str, row: int | None = None) -> list[dict[str, list[str]]]:
    prompt = Prompt.user(name, f"question {name}", "harmful")
    made = [good(prompt, f"fail {i}" if v is FAIL else str(v)) for i, v in enumerate(group)]
    return made if row is None else [{**c, "labels": [numbered(c["labels"][0], row)]} for c in made]


def forgiving(folder: Path, **rest: Any) -> Any:
    words = {"on_failure": "neutral", "max_failure_rate": 1.0, "samples": {"train": N}, **rest}
    return service(folder, component(folder), **words)


def openrlhf(cases: Sequence[Mapping[str, Any]]) -> list[list[float]]:
    program = Path(__file__).parent / "openrlhf_advantages.py"
    done = subprocess.run(
        [sys.executable, str(program)],
        input=json.dumps(list(cases)),
        capture_output=True,
        text=True,
        env={**os.environ, **cpu_env("fp32")},
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    found: list[list[float]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[float]]:
    """What the service tells the trainer of each group, all of them under way at once."""
    folder = tmp_path_factory.mktemp("groups")
    asked = [call for name, group in GROUPS.items() for call in calls(group, name)]
    with forgiving(folder) as s:
        replies = post(s.url, asked, at_once=len(asked))
        assert s.failure() is None
    rewards = [float(r["rewards"]) for r in replies]
    return {name: rewards[N * i : N * (i + 1)] for i, name in enumerate(GROUPS)}


@pytest.mark.e2e
def test_the_advantage_of_a_failed_sample_is_zero_and_those_of_the_others_are_as_without_it(
    told: dict[str, list[float]],
) -> None:
    compared = [name for name in ESTIMATORS if Algorithm(name=name).baseline == "group" and name != "ppo"]  # type: ignore[arg-type]
    cases = []
    for algorithm in compared:
        for name, group in GROUPS.items():
            kept = [v for v in group if v is not FAIL] or [0.0, 0.0]
            cases.append({"estimator": ESTIMATORS[algorithm], "samples": N, "rewards": told[name]})
            cases.append(
                {"estimator": ESTIMATORS[algorithm], "samples": len(kept), "rewards": list(map(rounded, kept))}
            )
    found = iter(openrlhf(cases))
    for algorithm in compared:
        for name, group in GROUPS.items():
            advantages, without = next(found), iter(next(found))
            k = sum(v is not FAIL for v in group)
            # the sums are those of the group without the sample; what they are divided by counts it
            factor = {"grpo": math.sqrt((N - 1) / max(k - 1, 1)), "rloo": N * (k - 1) / (k * (N - 1)) if k else 1.0}
            for value, advantage in zip(group, advantages, strict=True):
                right = 0.0 if value is FAIL else next(without) * factor.get(algorithm, 1.0)
                if algorithm == "reinforce_pp" and value is not FAIL:  # and divided by the deviation of the whole step
                    right *= math.sqrt(N / k)
                if name in ("unsafe", "safe", "thirds"):  # equal rewards teach nothing, whatever rounding does
                    assert advantage == 0.0
                assert advantage == pytest.approx(right, abs=1e-4), (algorithm, name)


@pytest.mark.e2e
def test_where_the_step_is_the_baseline_a_failed_sample_has_the_mean_of_the_step(tmp_path: Path) -> None:
    groups = [[1.0, 0.0] * 4, [-3.0] * 7 + [FAIL], [FAIL] + [1.0] * 7, [FAIL] * 8]
    algorithms = ("reinforce", "flash_reinforce")
    assert {Algorithm(name=name).baseline for name in algorithms} == {"step"}  # type: ignore[arg-type]
    with forgiving(tmp_path, baseline="step", step=32) as s:
        for row, group in enumerate(groups):
            post(s.url, calls([v or 0.0 for v in group], f"before-{row}"), at_once=N)
        rewards = [
            float(reply["rewards"])
            for row, group in enumerate(groups)
            for reply in post(s.url, calls(group, f"p{row}"), at_once=N)
        ]
    cases = [{"estimator": ESTIMATORS[name], "samples": N, "rewards": rewards} for name in algorithms]
    for advantages in openrlhf(cases):
        failed = [a for a, v in zip(advantages, [v for g in groups for v in g], strict=True) if v is FAIL]
        assert len(failed) == 10
        assert max(map(abs, failed)) < 0.2  # a reward of 0 would have about 0.5 there


def test_ppo_hears_the_mean_of_the_group(told: dict[str, list[float]]) -> None:
    assert Algorithm(name="ppo").baseline == "group"
    assert (told["unsafe"], told["safe"]) == ([-10.0] * 8, [1.0] * 8)
    assert told["mixed"][3] == pytest.approx(4 / 7, abs=1e-4)
    assert told["two"][0] == told["two"][4] == pytest.approx(2 / 6, abs=1e-4)


def passes_the_filter(scores: Sequence[float], low: float = 0.0, high: float = 1.0) -> bool:
    """OpenRLHF 0.11.2, `samples_generator.py`: a group is kept if its mean score lies strictly between the two."""
    return low < sum(scores) / len(scores) < high


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("group", "kept"),
    [
        ([1.0] * 7 + [FAIL], False),
        ([0.0] * 7 + [FAIL], False),
        ([-10.0] * 7 + [FAIL], False),
        ([1.0] * 6 + [0.0, FAIL], True),
        ([FAIL] * 8, False),
        ([FAIL] * 7 + [1.0], False),
    ],
)
def test_dynamic_filtering_passes_a_group_as_if_the_failed_sample_were_not_there(
    tmp_path: Path, group: list[float | None], kept: bool
) -> None:
    with forgiving(tmp_path) as s:
        post(s.url, calls([1.0, 0.0] * 4, "before"), at_once=N)
        scores = [float(r["scores"]) for r in post(s.url, calls(group, "p"), at_once=N)]
    assert passes_the_filter(scores) is kept


def test_the_mean_is_of_what_the_trainer_was_told_where_rewards_are_normalised(tmp_path: Path) -> None:
    with forgiving(tmp_path, normalise="kind") as s:
        for i in range(5):
            post(s.url, calls([5.0, 3.0] * 4, f"before-{i}"), at_once=N)
        replies = post(s.url, calls([5.0] * 7 + [FAIL], "p"), at_once=N)
    given = [float(r["rewards"]) for r in replies]
    assert max(given) < 1.5  # normalised, not 5
    assert given[7] == given[0] == pytest.approx(sum(given[:7]) / 7)
    (row,) = [r for r in rows(tmp_path) if r["error"]]
    assert (row["total"], row["reward"]) == (None, given[7])


def test_a_failed_gate_or_veto_is_a_failed_reward_and_no_value_of_its_own(tmp_path: Path) -> None:
    gate = {**component(tmp_path), "name": "gate", "gate": "veto", "below": 0.5, "otherwise": -1.0}
    one = {"fn": f"{tmp_path / 'own.py'}:one"}
    with service(tmp_path, one, gate, on_failure="neutral", max_failure_rate=1.0, samples={"train": N}) as s:
        replies = post(s.url, calls([1.0] * 7 + [FAIL], "p"), at_once=N)
        assert s.failure() is None
    assert [r["rewards"] for r in replies] == [1.0] * 8


def test_a_prompt_that_is_sampled_twice_at_once_has_two_groups(tmp_path: Path) -> None:
    first, second = calls([1.0] * 7 + [FAIL], "p", 0), calls([-10.0] * 7 + [FAIL], "p", 1)
    mixed = [call for pair in zip(first, second, strict=True) for call in pair]
    with forgiving(tmp_path) as s:
        replies = post(s.url, mixed, at_once=2 * N)
    assert [r["rewards"] for r in replies] == [1.0, -10.0] * 8
    assert {r["group"] for r in rows(tmp_path)} == {"p#1", "p#2"}


def test_a_failed_rollout_is_in_no_mean_of_its_kind(tmp_path: Path) -> None:
    with forgiving(tmp_path) as s:
        replies = post(s.url, calls([1.0] * 7 + [FAIL], "p"), at_once=N)
    logs = [r["extra_logs"] for r in replies]
    assert [sum(log[key] for log in logs) for key in ("is_harmful", "reward_harmful", "failed_rollout")] == [7, 7, 1]


def test_a_call_that_cannot_be_read_is_a_sample_of_its_prompt(tmp_path: Path) -> None:
    group = calls([2.0] * 8, "p")
    group[3]["query"] = ["something else"]
    with forgiving(tmp_path) as s:
        assert [r["rewards"] for r in post(s.url, group, at_once=N)] == [2.0] * 8
    (row,) = [r for r in rows(tmp_path) if r["error"]]
    assert (row["prompt_id"], row["kind"]) == ("p", "harmful")
    assert "did not come back as it was sent" in row["error"]


def test_failures_that_wait_are_answered_when_the_run_ends(tmp_path: Path) -> None:
    with forgiving(tmp_path, max_failure_rate=0.1) as s:
        post(s.url, [c for i in range(3) for c in calls([1.0] * 8, f"p{i}")], at_once=24)
        replies = post(s.url, [*calls([FAIL] * 8, "q"), *calls([FAIL] * 2, "r")], at_once=10)
        assert "failed on" in str(s.failure())
    assert len(replies) == 10
