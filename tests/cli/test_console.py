from __future__ import annotations

import json
from pathlib import Path

import pytest

from lrmctl import Score, console
from lrmctl.backends.base import Progress


def test_json_has_one_envelope_and_takes_our_own_types(capsys: pytest.CaptureFixture[str]) -> None:
    console.emit_json("thing", {"path": Path("a/b"), "score": Score(1.0), "pair": (1, 2)})
    said = json.loads(capsys.readouterr().out)
    assert said["kind"] == "thing"
    assert said["data"] == {"path": "a/b", "score": {"value": 1.0, "error": "", "logs": {}}, "pair": [1, 2]}


def test_markup_in_data_is_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    console.table("", ("a",), [("[red]x[/]",)])
    console.say("[bold]y[/nonsense]")
    console.print_error(ValueError("[/]z[/z]"))
    said = capsys.readouterr()
    assert "[red]x[/]" in said.out
    assert "[bold]y[/nonsense]" in said.err
    assert "[/]z[/z]" in said.err


def test_a_table_in_a_pipe_has_whole_words(capsys: pytest.CaptureFixture[str]) -> None:
    long = "word " * 60
    console.table("", ("a", "b"), [(long, "end")])
    assert f"{long.strip()}" in capsys.readouterr().out


def test_progress_in_a_pipe_says_the_first_and_the_last_step(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress("train x") as on_progress:
        for step in range(1, 5):
            on_progress(Progress(step, 4, {"reward": step / 4, "reward/safe": 0.5, "kl": 0.01, "noise": 3.0}))
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 2
    assert lines[0] == "train x: 1/4, reward 0.25, kl 0.01, safe 0.5"
    assert lines[1].startswith("train x: 4/4, reward 1, kl 0.01, safe 0.5, took")


def test_progress_takes_counts_with_and_without_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress("eval") as on_progress:
        on_progress(1, 3)
        on_progress(3, 3, "loss 0.1")
    first, last = capsys.readouterr().err.strip().splitlines()
    assert first == "eval: 1/3"
    assert last.startswith("eval: 3/3, loss 0.1")


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")]
)
def test_durations_read_as_people_say_them(seconds: float, words: str) -> None:
    assert console.duration(seconds) == words
