"""Tables keep names whole on 80 columns, a closed pipe is no error, the time left is of the work, not its bursts."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrmctl import console
from lrmctl._util.progress import Done
from lrmctl.comparison import render
from lrmctl.comparison.comparison import ComparedEvaluation, Comparison
from lrmctl.comparison.settings import ABSENT, SettingDifference


@pytest.mark.parametrize("width", [60, 80, 120])
def test_names_stay_whole_and_nothing_is_lost(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    terminal = console._Console(force_terminal=True, no_color=True, width=width, file=shown, soft_wrap=True)
    monkeypatch.setattr(console, "out", terminal)
    name, what = "r1-distill-qwen-1.5b/sft-direct-refusal", "one two three four five six seven eight nine ten eleven"
    console.table("", ("recipe", "kind", "what"), [(name, "sft", what), ("demo", "study", "short")])
    lines = shown.getvalue().splitlines()
    assert any(line.startswith(name) for line in lines)
    assert all(len(line) <= width for line in lines if "\x1b" not in line)
    assert "…" not in shown.getvalue()
    assert [word for word in what.split() if word not in shown.getvalue()] == []


@pytest.mark.parametrize("words", [("plugin", "list"), ("recipe", "show", "demo"), ("benchmark", "list", "--json")])
def test_whoever_closes_the_pipe_has_what_they_wanted(words: tuple[str, ...], tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "lrmctl", *words]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        said = process.stderr.read()
    assert (process.returncode, said) == (0, b"")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    return lambda seconds: now.__setitem__(0, seconds)


def test_completions_that_end_in_bursts_give_a_true_time_left(clock: Callable[[float], None]) -> None:
    left = console.Clock()
    assert left.left(0, 1000) == ""
    for second in (10, 20, 30):  # a batch of a hundred ends within a tenth of a second, every ten seconds
        for i in range(100):
            clock(second + i / 1000)
            said = left.left((second // 10 - 1) * 100 + i + 1, 1000)
    assert said == "1 min 10 s left"


def test_one_batch_that_ends_together_gives_no_wrong_time_left(clock: Callable[[float], None]) -> None:
    """Seen with 64 completions side by side: "3 h 55 min left" four minutes before the end."""
    left = console.Clock()
    left.left(0, 64)
    seen = ((1, 224), (3, 269), (5, 294), (7, 349), (8, 360), (9, 373), (10, 404), (11, 415), (15, 427), (23, 440))
    for done, second in seen:
        clock(second)
        assert left.left(done, 64) == ""
    clock(443)
    assert left.left(64, 64) == "took 7 min 23 s"


def test_what_was_stored_before_says_nothing_of_the_pace(clock: Callable[[float], None]) -> None:
    left = console.Clock()
    left.left(900, 1000)
    clock(5)
    left.left(905, 1000)
    clock(10)
    assert left.left(910, 1000) == "1 min 30 s left"


def test_loading_and_reading_prompts_say_nothing_of_the_pace(clock: Callable[[float], None]) -> None:
    """Seen with a real model on CPU: "5 h 16 min left" five minutes before the end."""
    left = console.Clock()
    for second, done in ((0, 0), (20, Done(0, 0.0)), (60, Done(0, 0.0)), (61, Done(0, 0.1)), (70, Done(0, 1.0))):
        clock(second)
        assert left.left(done, 100) == ""
    clock(81)
    assert left.left(Done(0, 20.1), 100) == "1 min 20 s left"


def test_the_start_up_of_a_trainer_is_left_out(clock: Callable[[float], None]) -> None:
    left = console.Clock(starts_up=True)
    for done, second in ((0, 0), (1, 60), (2, 62), (3, 64)):
        clock(second)
        said = left.left(done, 13)
    assert said == "20 s left"


def test_what_one_side_does_not_say_is_one_line() -> None:
    missing = [SettingDifference(f"trained_with.{p}", ABSENT, "1", "") for p in ("python", "torch", "ray")]
    found: list[Any] = [
        SettingDifference("seed", 0, 1, ""),
        SettingDifference("trained.recipe", ABSENT, "rl lab-rl", ""),
        *missing,
    ]
    sides = ComparedEvaluation("a", Path("a")), ComparedEvaluation("b", Path("b"))
    said = list(
        render.notes(Comparison(*sides, (), (), (), found, (), (), ["b: rewarded by the judge that evaluates"]))
    )
    assert said == [
        "careful, b: rewarded by the judge that evaluates",
        "differs: seed: 0 | 1",
        "not recorded for A: trained, trained_with (3 values); --json lists them",
    ]
