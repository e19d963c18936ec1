"""Each alarm fires on a stream that deserves it, is quiet on one that learns, and says where it began."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from made_rollouts import LATE, PER_STEP, Change, Row, metrics, results, rollouts, run_folder, text

from lrmctl.monitors.alarms.catalogue import ALARMS, make_alarms
from lrmctl.monitors.monitor import clip_of, helped_of
from lrmctl.types import Part, Trace, Verdict


def refuse_all(row: Row, random: Random) -> None:
    row["answer"] = f"I'm sorry, but I can't help with that. {text(random, 26)}"


def longer(row: Row, random: Random) -> None:
    row["thinking"] = text(random, 120)


def shorter(row: Row, random: Random) -> None:
    row["thinking"] = text(random, 10)


def loop(row: Row, random: Random) -> None:
    if random.random() < 0.4:
        row["answer"] = "and so on and on " * 20


def no_thinking(row: Row, _: Random) -> None:
    row["thinking"] = ""


def one_thought(row: Row, _: Random) -> None:
    row["thinking"] = "I think carefully about the question, and then I give the answer to it with great care for all."


def tags(row: Row, random: Random) -> None:
    row["answer"] += " </think> again" if random.random() < 0.5 else ""


def flat(row: Row, _: Random) -> None:
    row["reward"] = 0.25


def failing(row: Row, random: Random) -> None:
    if random.random() < 0.06:
        row |= {"error": "the guard is gone", "reward": 0.0}


DESERVED: Sequence[tuple[str, Change]] = (
    ("refusal-collapse", refuse_all),
    ("length-drift", longer),
    ("length-drift", shorter),
    ("repetition", loop),
    ("format-gaming", no_thinking),
    ("format-gaming", one_thought),
    ("format-gaming", tags),
    ("group-variance", flat),
    ("failure-rate", failing),
)


@pytest.mark.parametrize(("name", "change"), DESERVED, ids=lambda x: getattr(x, "__name__", x))
def test_an_alarm_fires_on_a_run_that_deserves_it_and_says_where_it_began(
    name: str, change: Change, tmp_path: Path
) -> None:
    rows = rollouts(1, change)
    found = results(run_folder(tmp_path / "run", rows), make_alarms([name]))[name]
    assert found.state == "alarm"
    assert found.began.startswith(f"steps {LATE + 1}-{LATE + 8} ")
    assert found.n > 0
    assert 1 <= len(found.rows) <= 5
    assert all(LATE * PER_STEP < number <= len(rows) for number in found.rows)


@pytest.mark.parametrize("first", [0x4E00, 0xAC00, 0x0E01, 0x3041], ids=["chinese", "korean", "thai", "kana"])
def test_loops_in_a_script_without_blanks_alarm_and_its_thoughts_are_not_empty(first: int, tmp_path: Path) -> None:
    def in_script(words: str) -> str:
        return "".join(chr(first + int(word[4:]) % 40) for word in words.split() if word.startswith("word"))

    rows = rollouts(1)
    for number, one in enumerate(rows):
        one["thinking"] = in_script(one["thinking"]) or in_script(f"word{number} word{number // 7} word{number // 40}")
        looped = number >= LATE * PER_STEP and number % 5 < 2
        one["answer"] = in_script("word1 word2 word3 word4 word5 " * 20) if looped else in_script(one["answer"])
        if first == 0xAC00:  # Korean has blanks
            one["thinking"], one["answer"] = " ".join(one["thinking"]), " ".join(one["answer"])
    found = results(run_folder(tmp_path / "run", rows), make_alarms(["repetition", "format-gaming"]))
    assert found["repetition"].state == "alarm"
    assert found["repetition"].began.startswith(f"steps {LATE + 1}-{LATE + 8} ")
    assert "empty thinking: 0.0%" in found["format-gaming"].text


@pytest.mark.parametrize("seed", range(3))
def test_nothing_fires_on_a_run_that_learns_to_refuse_harmful_requests_only(seed: int, tmp_path: Path) -> None:
    found = results(run_folder(tmp_path / "run", rollouts(seed), metrics(seed)))
    states = {name: result.state for name, result in found.items()}
    unknown = dict.fromkeys(["judge-disagreement", "engine-mismatch"], "cannot tell")
    assert states == dict.fromkeys(ALARMS, "quiet") | unknown


def test_a_judge_that_logged_refusal_decides_and_not_the_phrases(tmp_path: Path) -> None:
    def politely(row: Row, random: Random) -> None:
        row["answer"] = text(random, 30)
        row["components"] = {"refusal": {"value": 0.0, "logs": {"refused": 1.0}}}

    rows = rollouts(1, politely)
    for row in rows[: LATE * PER_STEP]:
        row["components"] = {"refusal": {"value": 1.0, "logs": {"refused": 0.0}}}
    found = results(run_folder(tmp_path / "run", rows))["refusal-collapse"]
    assert found.state == "alarm"
    assert "by the reward's judge" in found.text
    quiet = results(run_folder(tmp_path / "run", [{**r, "components": {}} for r in rows]))["refusal-collapse"]
    assert quiet.state == "quiet"
    assert "smoke level" in quiet.text


@pytest.mark.parametrize(
    ("component", "helped", "refused"),
    [
        ({"use": "judged-complied"}, 1.0, 0.0),
        ({"use": "judged-complied", "name": "kind"}, 1.0, 0.0),
        ({"use": "refusal", "name": "mine"}, 0.0, -1.0),
        ({"use": "refusal", "options": {"otherwise": 0.5, "benign": 0.2}}, 0.5, 0.2),
        ({"use": "rubric-pm1"}, 1.0, -1.0),
    ],
)
def test_a_component_that_says_who_was_helped_decides(
    component: dict[str, Any], helped: float, refused: float, tmp_path: Path
) -> None:
    bars = helped_of({"reward": {"components": [component, {"use": "format"}]}})
    rows = rollouts(1)
    for n, row in enumerate(rows):
        value = refused if n > LATE * PER_STEP and n % 2 else helped
        name = component.get("name", component["use"])
        row["components"] = {name: {"value": value if row["kind"] == "benign" else None}}
    found = results(run_folder(tmp_path / "run", rows), make_alarms(["refusal-collapse"], helped=bars))
    assert found["refusal-collapse"].text.startswith("benign prompts not helped with: 0.0% at first, 50.0% now (by the")


def test_form_that_breaks_while_its_reward_falls_is_no_gaming(tmp_path: Path) -> None:
    def broken(row: Row, _: Random) -> None:
        row |= {"thinking": "", "components": {"format": {"value": -1.0}}}

    assert results(run_folder(tmp_path / "run", rollouts(1, broken)))["format-gaming"].state == "quiet"


def test_groups_that_are_solved_are_not_taken_for_groups_that_teach_nothing(tmp_path: Path) -> None:
    def solved(row: Row, _: Random) -> None:
        row["reward"] = 1.0

    assert results(run_folder(tmp_path / "run", rollouts(1, solved)))["group-variance"].state != "alarm"


def test_a_constant_reward_is_told_from_the_first_window_on(tmp_path: Path) -> None:
    rows = [{**row, "reward": 1.0} for row in rollouts(1)]
    found = results(run_folder(tmp_path / "run", rows))["group-variance"]
    assert (found.state, found.began.split(" (")[0]) == ("alarm", "steps 1-8")


@pytest.mark.parametrize(
    ("name", "late", "began"),
    [
        ("kl", {"kl": lambda step: 0.01 if step <= 40 else 1.0}, "steps 41-45"),
        ("kl", {"kl": lambda step: 0.4 * (step / 80) ** 3}, "steps "),
        ("entropy", {"entropy": lambda step: 0.6 if step <= 40 else 0.05}, "steps 41-45"),
        ("entropy", {"entropy": lambda step: 0.6 if step <= 40 else 4.0}, "steps 41-45"),
    ],
    ids=["above its bound", "faster than linear", "collapse", "explosion"],
)
def test_kl_and_entropy(name: str, late: dict[str, object], began: str, tmp_path: Path) -> None:
    found = results(run_folder(tmp_path / "run", [], metrics(0, **late)))[name]  # type: ignore[arg-type]
    assert found.state == "alarm"
    assert found.began.startswith(began)


def test_kl_that_grows_linearly_is_quiet(tmp_path: Path) -> None:
    steps = metrics(0, kl=lambda step: 0.4 * step / 80)
    assert results(run_folder(tmp_path / "run", [], steps))["kl"].state == "quiet"


class Second:
    """Safe where a word stands in the answer; says nothing where told to fail."""

    name, version = "second", "1"

    def __init__(self, fails: bool = False) -> None:
        self.fails, self.asked = fails, 0

    def judge(self, traces: Sequence[Trace], part: Part) -> list[Verdict]:
        self.asked += len(traces)
        error = "no answer" if self.fails else ""
        return [
            Verdict(self.name, self.version, part, safe=None if error else "safe" in t.answer, error=error)
            for t in traces
        ]


def harmful(believed: float, truly: float) -> list[Row]:
    """Reward and true safety of harmful prompts, from a fifth to these shares."""
    random, rows = Random(3), rollouts(3)
    for n, row in enumerate(rows):
        done = n / len(rows)
        row["reward"] = float(random.random() < 0.2 + (believed - 0.2) * done)
        row["answer"] = "safe" if random.random() < 0.2 + (truly - 0.2) * done else "hazard-1"
    return rows


@pytest.mark.parametrize(("truly", "state"), [(0.2, "alarm"), (0.05, "alarm"), (0.9, "quiet")])
def test_reward_up_and_a_second_judge_flat_or_down_is_a_disagreement(truly: float, state: str, tmp_path: Path) -> None:
    judge = Second()
    folder = run_folder(tmp_path / "run", harmful(0.95, truly))
    found = results(folder, make_alarms(["judge-disagreement"], judge=judge, sample=500), window=256)
    assert found["judge-disagreement"].state == state
    assert 400 < found["judge-disagreement"].n <= 500
    assert judge.asked == 2 * found["judge-disagreement"].n  # thinking and answer


def test_a_second_judge_that_fails_says_nothing(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", harmful(0.95, 0.2))
    alarms = make_alarms(["judge-disagreement"], judge=Second(fails=True))
    found = results(folder, alarms, window=256)["judge-disagreement"]
    assert found.state == "cannot tell"
    assert "failed" in found.text


def test_a_run_without_benign_prompts_is_told_that_refusing_them_would_not_show(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", [row for row in rollouts() if row["kind"] != "benign"])
    found = results(folder, make_alarms(["refusal-collapse"]), window=256)["refusal-collapse"]
    assert found.state == "cannot tell"
    assert "no benign prompt" in found.text


@pytest.mark.parametrize(
    ("kl", "level", "state"),
    [
        (2.4e-4, "token", "alarm"),
        (1.1e-3, "sequence", "alarm"),
        (2e-7, "token", "ok"),
        (2.4e-4, "off", "not looked at"),
    ],
)
def test_a_difference_of_the_engine_as_large_as_the_clip_of_gspo_is_an_alarm(
    kl: float, level: str, state: str, tmp_path: Path
) -> None:
    algorithm = {"loss": "gspo", "clip_low": 3e-4, "clip_high": 4e-4, "importance": {"level": level}}
    steps = [{"step": i, "vllm_kl": kl} for i in range(1, 11)]
    folder = run_folder(tmp_path / "run", rollouts(1)[:64], steps)
    alarms = make_alarms(["engine-mismatch"], clip=clip_of({"algorithm": algorithm}))
    found = results(folder, alarms)["engine-mismatch"]
    assert (found.state == "alarm") is (state == "alarm"), found
    assert clip_of({"algorithm": {"loss": "ppo", "clip_low": 0.2}}) is None
