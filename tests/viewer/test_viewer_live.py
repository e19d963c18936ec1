"""Traces of runs that go on: each line is read once, texts are read again by their place."""

from __future__ import annotations

from pathlib import Path

import pytest
from unpacking import read_chunk, read_index
from viewed_runs import append_rollouts, make_run, rollouts, write_rows, write_tokens

from lrmctl.runs.eval_rows import read_rows
from lrmctl.runs.writing import write_json
from lrmctl.viewer import LiveTraces, ViewedRun, live, readers

RECIPE = "kind: rl\nalgorithm: {name: grpo, prompts_per_step: 2, samples_per_prompt: 8}\n"


@pytest.fixture
def run(tmp_path: Path) -> ViewedRun:
    """A run that trains; its recipe says that a step has 16 rollouts."""
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    append_rollouts(tmp_path / "rollouts.jsonl", rollouts(20))
    return ViewedRun("rl", tmp_path)


def test_rollouts_have_group_step_reward_and_components(run: ViewedRun) -> None:
    traces = LiveTraces([run])
    part = traces.index(0)
    index = read_index(part)
    assert [row["step"] for row in index] == [1] * 16 + [2] * 4
    assert len({row["group"] for row in index}) == 3
    chunk = read_chunk(traces.chunk(0, 20))
    wanted = list(rollouts(20))
    assert [row["reward"] for row in index] == [row["reward"] for row in wanted]
    assert chunk.columns["thinking"] == [row["thinking"] for row in wanted]
    for found, row in zip(chunk.columns["components"], wanted, strict=True):
        assert found == [[name, c["value"], c["weighted"], c["error"]] for name, c in row["components"].items()]


def test_a_growing_file_is_read_on_and_never_from_the_start(run: ViewedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    traces = LiveTraces([run])
    assert traces.index(0)["count"] == 20
    read: list[int] = []
    inner = readers.of_rollout
    monkeypatch.setattr(readers, "of_rollout", lambda *words: (read.append(words[2]), inner(*words))[1])
    append_rollouts(run.path / "rollouts.jsonl", rollouts(8, first=21))
    part = traces.index(20)
    assert (part["from"], part["count"]) == (20, 8)
    assert read == list(range(21, 29))
    assert traces.index(28)["count"] == 0


def test_a_line_that_is_being_written_waits_for_its_end(run: ViewedRun) -> None:
    traces = LiveTraces([run])
    traces.index(0)
    with (run.path / "rollouts.jsonl").open("a") as file:
        file.write('{"prompt": "half a li')
        file.flush()
        assert traces.index(20)["count"] == 0
        file.write('ne", "thinking": "t", "answer": "a"}\n')
    assert traces.index(20)["count"] == 1
    assert read_chunk(traces.chunk(20, 21)).columns["prompt"] == ["half a line"]


def test_lines_that_are_no_rollouts_are_counted_and_passed_over(run: ViewedRun) -> None:
    with (run.path / "rollouts.jsonl").open("a") as file:
        file.write("no json\n[]\n\n")
    traces = LiveTraces([run])
    assert traces.index(0)["count"] == 20
    assert traces.state()["unreadable"] == 2


def test_long_files_come_in_parts(run: ViewedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "ROWS_A_LOOK", 8)
    traces, parts = LiveTraces([run]), []
    while not parts or parts[-1]["more"]:
        parts.append(traces.index(sum(part["count"] for part in parts)))
    assert [part["count"] for part in parts] == [8, 8, 4]


def test_an_evaluation_that_was_made_again_begins_anew(tmp_path: Path) -> None:
    run = make_run(tmp_path, "base", prompts=2)
    traces = LiveTraces([run])
    before = traces.state()["generation"]
    assert traces.index(0)["count"] == 12
    write_rows(run.path, read_rows(run.path / "eval" / "rows.jsonl")[:5])
    assert traces.state()["generation"] == before + 1
    assert traces.index(0)["count"] == 5
    assert traces.state()["generation"] == before + 1


def test_an_analysis_that_is_finished_meanwhile_is_shown(tmp_path: Path) -> None:
    run = make_run(tmp_path, "base", prompts=2, tokens=False)
    traces = LiveTraces([run])
    before = traces.state()["generation"]
    assert {row["entropy"] for row in read_index(traces.index(0))} == {None}
    write_tokens(run.path, list(read_rows(run.path / "eval" / "rows.jsonl")))
    assert traces.state()["generation"] == before  # only a finished part counts: a running one writes all the time
    write_json(run.path / "analysis" / "entropy.json", {})
    assert traces.state()["generation"] == before + 1
    assert None not in {row["entropy"] for row in read_index(traces.index(0))}
    assert traces.state()["generation"] == before + 1


def test_rows_and_rollouts_of_one_run_are_told_apart(tmp_path: Path) -> None:
    run = make_run(tmp_path, "rl", prompts=1, rollouts=True)
    index = read_index(LiveTraces([run]).index(0))
    assert {row["phase"] for row in index} == {"evaluation", "train"}
    assert {row["entropy"] is None for row in index if row["phase"] == "train"} == {True}


def test_a_run_that_has_not_begun_has_no_traces_and_gets_them(tmp_path: Path) -> None:
    traces = LiveTraces([ViewedRun("new", tmp_path)])
    assert traces.index(0)["count"] == 0
    assert traces.state()["running"] is False
    append_rollouts(tmp_path / "rollouts.jsonl", rollouts(3))
    assert traces.index(0)["count"] == 3


def test_steps_are_left_out_where_nobody_knows_them(run: ViewedRun) -> None:
    (run.path / "recipe.yaml").unlink()
    append_rollouts(run.path / "rollouts.jsonl", ({**row, "attempt": 2} for row in rollouts(2, first=21)))
    assert {row["step"] for row in read_index(LiveTraces([run]).index(0))} == {None}
