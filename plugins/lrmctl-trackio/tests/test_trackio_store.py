"""A real Trackio store on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrmctl.hooks import TrackedRun


def test_steps_and_figures_are_in_the_local_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    pytest.importorskip("trackio")
    from lrmctl_trackio import TrackioTracker

    run = TrackedRun("mine", tmp_path / "mine", {"kind": "rl"}, 1, lambda _: None)
    tracker = TrackioTracker(project="tried")
    tracker.run_started(run)
    tracker.step(1, {"reward": 0.25})
    figure = {"value": 0.9, "low": 0.8, "high": 1.0, "n": 10}
    tracker.evaluated({"sets": [{"set": "ours", "kind": "benign", "metrics": {"complied": figure}}]}, "")
    tracker.finished(tmp_path)
    from trackio.sqlite_storage import SQLiteStorage

    logged = SQLiteStorage.get_logs("tried", "mine")
    assert [one["reward"] for one in logged if "reward" in one] == [0.25]
    assert any(one.get("eval/ours/benign/complied") == 0.9 for one in logged)
