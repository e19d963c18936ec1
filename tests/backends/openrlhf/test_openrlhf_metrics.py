"""OpenRLHF's output as metrics, on output recorded from real runs (`recorded/`)."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lrmctl.backends.base import Progress
from lrmctl.backends.openrlhf.run.metrics import Recorder, read_tensorboard, translate
from lrmctl.runs.jsonl import read_jsonl, write_jsonl
from lrmctl.types import Plan

RECORDED = Path(__file__).parent / "recorded"


def plan(kind: Any, steps: int, passes: int = 1) -> Plan:
    return Plan("openrlhf", kind, (), {}, estimates={"steps": steps, "backward_passes_per_step": passes})


def lines(name: str) -> list[str]:
    return (RECORDED / name).read_text(encoding="utf-8").replace("\r", "\n").splitlines()


def ended(recorder: Recorder, some: list[str]) -> Iterator[Progress]:
    """The steps that ended in some lines, without the reports of what goes on before the first one."""
    return (p for p in recorder.read(some) if not p.phase)


def write_events(folder: Path, steps: dict[int, dict[str, float]]) -> None:
    """TensorBoard files as OpenRLHF writes them."""
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(log_dir=str(folder))
    for step, values in steps.items():
        for name, value in values.items():
            writer.add_scalar(f"train/{name}", value, step)
    writer.close()


def test_rl_lines_of_a_real_run_become_rows(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "metrics.jsonl", plan("rl", 3))
    seen = [p for line in lines("rl.txt") for p in ended(recorder, [line])]
    rows = list(read_jsonl(tmp_path / "metrics.jsonl"))
    assert [p.step for p in seen] == [row["step"] for row in rows] == [1, 2, 3]
    assert seen[-1].total == 3
    assert seen[-1].metrics["seconds_left"] == 0
    first = rows[0]
    assert first["reward"] == pytest.approx(0.657031238079071)
    assert first["time/step"] == pytest.approx(30.101037740707397)
    assert {"entropy", "kl", "loss", "learning_rate", "grad_norm", "response_length", "truncated"} <= set(first)


def test_without_a_reference_model_no_kl_is_reported(tmp_path: Path) -> None:
    bare = plan("rl", 3)
    recorder = Recorder(
        tmp_path / "metrics.jsonl", replace(bare, estimates={**bare.estimates, "reference_model": False})
    )
    assert all("kl" not in p.metrics and "entropy" in p.metrics for p in ended(recorder, lines("rl.txt")))
    assert all("kl" not in row for row in read_jsonl(tmp_path / "metrics.jsonl"))


def test_rates_of_kinds_and_components_are_ratios_of_means(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "metrics.jsonl", plan("rl", 3))
    row = next(ended(recorder, lines("rl.txt"))).metrics
    assert row["reward/benign"] == pytest.approx(0.109375 / 0.125)
    assert row["reward/correct"] == pytest.approx(0.140625 / 0.1875)
    assert row["reward/format"] == 0.0
    total = 0.6875 * row["reward/harmful"] + 0.125 * row["reward/benign"] + 0.1875 * row["reward/reasoning"]
    assert total == pytest.approx(row["reward"])


def test_a_kind_that_did_not_occur_has_no_rate() -> None:
    row = translate({"is_benign": 0.0, "reward_benign": 0.0, "applies_correct": 0.0, "correct": 0.0, "reward": 1.0})
    assert row == {"reward": 1.0}


def test_numbers_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "metrics.jsonl", plan("rl", 1))
    line = "x] ✨ Global step 1: {'reward': nan, 'kl': inf, 'grad_norm': -inf, 'response_length': 3.0}"
    (progress,) = ended(recorder, [line])
    assert {k: v for k, v in progress.metrics.items() if not k.startswith("seconds")} == {"response_length": 3.0}
    assert all(math.isfinite(v) for v in next(read_jsonl(tmp_path / "metrics.jsonl")).values())


def test_a_garbled_line_is_made_up_for_from_tensorboard(tmp_path: Path) -> None:
    write_events(tmp_path / "tb" / "train", {1: {"reward": 0.25}, 2: {"reward": 0.5}})
    recorder = Recorder(tmp_path / "metrics.jsonl", plan("rl", 2), tensorboard=tmp_path / "tb")
    told = list(ended(recorder, ["Global step 1: {'reward': 0.25}", "Global step 2: {'rew (pid=3) {'reward'"]))
    told += recorder.finish()
    assert [p.step for p in told] == [1, 2]
    assert [row["reward"] for row in read_jsonl(tmp_path / "metrics.jsonl")] == [0.25, 0.5]


def test_sft_bar_of_a_real_run_becomes_steps_over_epochs(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "metrics.jsonl", plan("sft", 5, passes=2))
    told = [p for line in lines("sft.txt") for p in ended(recorder, [line])]
    assert [p.step for p in told] == [1, 2, 3, 4]  # the last one is certain only when the run has ended
    assert all({"loss", "learning_rate", "grad_norm"} <= set(p.metrics) for p in told)


def test_sft_rows_get_exact_values_at_the_end(tmp_path: Path) -> None:
    exact = {n: {"gpt_loss": 9.0, "loss_mean": 1 / n, "lr": 1e-3 / n, "grad_norm": n / 3} for n in range(1, 6)}
    write_events(tmp_path / "tb" / "train", exact)
    recorder = Recorder(tmp_path / "metrics.jsonl", plan("sft", 5, passes=2), tensorboard=tmp_path / "tb")
    told: list[Progress] = [*ended(recorder, lines("sft.txt")), *recorder.finish()]
    assert [p.step for p in told] == [1, 2, 3, 4, 5]
    assert [row["loss"] for row in read_jsonl(tmp_path / "metrics.jsonl")] == pytest.approx(
        [1 / n for n in range(1, 6)]
    )


def test_a_resumed_run_drops_the_rows_that_it_makes_again(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write_jsonl(path, [{"step": n, "total": 3, "seconds": 10.0 * n} for n in (1, 2)])
    with path.open("a") as out:
        out.write('{"step": 3, "to')  # torn by the kill
    recorder = Recorder(path, plan("rl", 3), start=1)
    list(ended(recorder, lines("rl.txt")))
    rows = list(read_jsonl(path))
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert rows[1]["seconds"] >= 10.0
    assert "reward" in rows[1]


def test_a_resumed_sft_bar_counts_on_from_the_checkpoint(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "metrics.jsonl", plan("sft", 6, passes=2), start=2)
    bar = "Train step of epoch {}: 1%|x| {}/{} [00:01<00:01, 1.0it/s, gpt_loss=1.5, lr=0.1, grad_norm=2]"
    shown = [bar.format(0, n, 2) for n in (1, 2)] + [bar.format(1, n, 6) for n in range(1, 7)]
    assert [p.step for p in ended(recorder, shown)] == [3, 4, 5]


def test_later_event_files_win(tmp_path: Path) -> None:
    write_events(tmp_path / "a", {1: {"reward": 1.0}, 2: {"reward": 1.0}})
    write_events(tmp_path / "b", {2: {"reward": 2.0}})
    for n, folder in enumerate("ab"):
        for file in (tmp_path / folder).iterdir():
            os.utime(file, (n, n))
    steps = read_tensorboard(tmp_path)
    assert {n: values["reward"] for n, (_, values) in steps.items()} == {1: 1.0, 2: 2.0}
    assert json.dumps(read_tensorboard(tmp_path / "none")) == "{}"
