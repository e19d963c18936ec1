"""Reading rows and cutting windows: order within a window, missing keys and torn lines change nothing."""

from __future__ import annotations

import math
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_rollouts import PER_STEP, metrics, results, rollouts, run_folder
from test_alarms import DESERVED, refuse_all

from lrmctl._util.tail import FileTail
from lrmctl.monitors.alarms.catalogue import ALARMS, make_alarms
from lrmctl.monitors.alarms.text import repeated
from lrmctl.monitors.monitor import Monitor
from lrmctl.monitors.rollouts import rollout_of
from lrmctl.monitors.sequential_tests import ALPHA, difference, factor, level, rise, share_of_alpha


@pytest.mark.parametrize("change", [change for _, change in DESERVED[::2]], ids=lambda c: c.__name__)
def test_the_order_of_rows_within_a_window_changes_nothing(change: object, tmp_path: Path) -> None:
    rows = rollouts(2, change)  # type: ignore[arg-type]
    first = results(run_folder(tmp_path / "a", rows))
    for start in range(0, len(rows), 512):
        some = rows[start : start + 512]
        Random(start).shuffle(some)
        rows[start : start + 512] = some
    again = results(run_folder(tmp_path / "b", rows))
    for name in ALARMS:
        a, b = first[name], again[name]
        assert (a.state, a.text, a.n, a.began, a.figures) == (b.state, b.text, b.n, b.began, b.figures)


@pytest.mark.parametrize("kept", [(), ("answer",), ("reward", "kind"), ("components", "thinking")])
def test_rows_that_lack_keys_crash_nothing_and_do_not_fire(kept: tuple[str, ...], tmp_path: Path) -> None:
    rows = [{key: row[key] for key in kept} for row in rollouts(1)]
    found = results(run_folder(tmp_path / "run", rows, [{"step": 1}, {}]))
    assert [r.alarm for r in found.values() if r.state == "alarm"] == []


_VALUES = st.none() | st.text(max_size=5) | st.floats() | st.dictionaries(st.text(max_size=3), st.none(), max_size=2)
_KEYS = st.sampled_from(["kind", "reward", "total", "components", "thinking", "answer", "error", "group", "phase"])


@given(st.dictionaries(_KEYS, _VALUES))
def test_any_row_is_read_or_left_out(row: dict[str, object]) -> None:
    found = rollout_of(row, 1)
    assert found is None or found.reward is None or math.isfinite(found.reward)


def test_rollouts_of_an_evaluation_are_left_out_and_bad_lines_are_counted(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", [{**row, "phase": "eval"} for row in rollouts(1, steps=2)])
    with (folder / "rollouts.jsonl").open("a", encoding="utf-8") as file:
        file.write('not json\n[1]\n{"phase": "train", "answer": "torn')
    monitor = Monitor(folder / "rollouts.jsonl", None, make_alarms())
    monitor.finish()
    assert (monitor.seen, monitor.rollouts.unreadable) == (0, 2)


def test_a_growing_file_says_the_same_as_the_whole_file(tmp_path: Path) -> None:
    rows = rollouts(1, refuse_all)
    whole = results(run_folder(tmp_path / "whole", rows, metrics()))
    text = (tmp_path / "whole" / "rollouts.jsonl").read_bytes()
    folder = run_folder(tmp_path / "growing", [], metrics())
    monitor = Monitor(folder / "rollouts.jsonl", folder / "metrics.jsonl", make_alarms(), per_step=PER_STEP)
    said = []
    with (folder / "rollouts.jsonl").open("ab", buffering=0) as file:
        for start in range(0, len(text), 99_991):  # ends in the middle of a line, mostly
            file.write(text[start : start + 99_991])
            said += monitor.poll()
    said += monitor.finish()
    assert {r.alarm: r for r in monitor.results()} == whole
    assert [r.alarm for r in said] == ["refusal-collapse"]


def test_steps_are_not_said_where_a_run_was_gone_on_with(tmp_path: Path) -> None:
    rows = [{**row, "attempt": 1 + (n >= 1024)} for n, row in enumerate(rollouts(1, refuse_all))]
    found = results(run_folder(tmp_path / "run", rows))["refusal-collapse"]
    assert found.began == "rows 1537-2048"


def test_a_tail_reads_each_whole_line_once(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    tail = FileTail(file)
    assert list(tail.rows()) == []
    file.write_text('{"a": 1}\n{"a"')
    assert list(tail.rows()) == [(1, {"a": 1})]
    file.write_text('{"a": 1}\n{"a": 2}\n')
    assert list(tail.rows()) == [(2, {"a": 2})]


def test_all_looks_of_all_series_together_spend_no_more_than_alpha() -> None:
    assert sum(3 * share_of_alpha(k, 3) for k in range(1, 100_000)) == pytest.approx(ALPHA, rel=1e-3)


def test_bounds_keep_their_promise_on_streams_without_a_change() -> None:
    random, alpha, wrong = Random(0), 0.05, {"rise": 0, "factor": 0, "difference": 0, "level": 0}
    for _ in range(400):
        a, b = ([sum(random.random() < 0.1 for _ in range(4)) / 4 for _ in range(30)] for _ in range(2))
        wrong["rise"] += rise(a, b, alpha) > 0
        wrong["level"] += level(a, alpha) > 0.1
        x, y = ([random.lognormvariate(3, 0.5) for _ in range(30)] for _ in range(2))
        wrong["factor"] += factor(x, y, alpha)[0] > 1
        wrong["difference"] += difference(x, y, alpha)[0] > 0
    assert all(count <= 400 * alpha + 3 * (400 * alpha * (1 - alpha)) ** 0.5 for count in wrong.values()), wrong


def test_repeated_grams() -> None:
    assert repeated(" ".join(f"w{i}" for i in range(100))) == 0
    assert repeated("a b c d " * 50) > 0.9
    assert repeated("a b a b a b") == 0  # too short to say
