"""`lrmctl run diff`: settings, facts and curves of two runs, as their folders have them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrmctl.runs.folder import RunFolder
from lrmctl.runs.jsonl import write_jsonl

Lrmctl = Callable[..., Any]


def trained(runs: Path, name: str, rate: float, rewards: list[float], torch: str = "2.1", data: str = "d1") -> None:
    folder = RunFolder.create(runs, name)
    rows = [{"step": n + 1, "total": 4, "reward": r, "kl": n / 10} for n, r in enumerate(rewards)]
    write_jsonl(folder.metrics, rows)
    recipe = {"kind": "rl", "name": name, "algorithm": {"learning_rate": rate, "preset": None}}
    lock = {"recipe": {**recipe, "name": "same"}, "recipe_sha256": name, "versions": {"torch": torch}}
    model = {"ref": "m", "path": "/m", "fingerprint": "f1"}
    folder.lock.write_text(json.dumps({**lock, "model": model, "data": {"sha256": data}}))
    folder.set_status("done", steps=4)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    trained(tmp_path / "runs", "a", 1e-6, [0.1, 0.9, 0.4])
    trained(tmp_path / "runs", "b", 2e-6, [0.1, 0.2, 0.5, 0.6], torch="2.2", data="d2")
    trained(tmp_path / "runs", "c", 1e-6, [0.1])
    return tmp_path / "runs"


def test_what_differs_and_where_the_curves_part(runs: Path, lrmctl: Lrmctl) -> None:
    result = lrmctl("run", "diff", "a", "b", "--runs-dir", str(runs), "--json")
    found = json.loads(result.out)["data"]
    assert result.code == 1
    assert [(d["key"], d["a"], d["b"]) for d in found["settings"]] == [("algorithm.learning_rate", 1e-6, 2e-6)]
    assert {f["key"]: (f["a"], f["b"]) for f in found["facts"]} == {
        "versions.torch": ("2.1", "2.2"),
        "data.sha256": ("d1", "d2"),
    }
    assert found["steps"] == [[3, 4], [4, 4]]
    reward, kl = found["curves"]
    assert reward["a"] == {"last": 0.4, "last_step": 3, "best": 0.9, "best_step": 2}
    assert (reward["widest_step"], reward["widest_a"], reward["widest_b"]) == (2, 0.9, 0.2)
    assert kl["b"]["best"] is None


def test_tables_say_the_same(runs: Path, lrmctl: Lrmctl) -> None:
    result = lrmctl("run", "diff", "a", "run:b", "--runs-dir", str(runs))
    assert result.code == 1
    lines = [" ".join(line.split()) for line in result.out.splitlines()]
    assert "algorithm.learning_rate 1e-06 2e-06" in lines
    assert "versions.torch 2.1 2.2" in lines
    assert "steps: a 3 of 4, b 4 of 4" in lines
    assert "reward 0.4 0.6 0.9 at step 2 0.6 at step 4 step 2 0.9 0.2" in lines


def test_runs_that_were_trained_alike_end_with_0(runs: Path, lrmctl: Lrmctl) -> None:
    result = lrmctl("run", "diff", "a", "c", "--runs-dir", str(runs))
    assert result.code == 0
    assert "settings, versions, data and models are the same" in result.out


def test_a_run_without_a_locked_recipe_is_an_error(runs: Path, lrmctl: Lrmctl) -> None:
    (runs / "a" / "lock.json").unlink()
    result = lrmctl("run", "diff", "a", "b", "--runs-dir", str(runs))
    assert result.code == 2
    assert "no run 'a' with a locked recipe" in result.err
