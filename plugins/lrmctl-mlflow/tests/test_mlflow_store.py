"""A real MLflow store on disk: one run for all attempts and evaluations of a run of lrmctl."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrmctl.hooks import TrackedRun

pytest.importorskip("mlflow")


def test_attempts_and_evaluations_are_one_run_with_their_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # needs no database
    from lrmctl_mlflow import MlflowTracker
    from mlflow import MlflowClient

    said: list[str] = []
    uri = (tmp_path / "mlruns").as_uri()
    recipe = {"kind": "rl", "name": "mine", "reward": {"components": [{"use": "format"}]}}
    run = TrackedRun("mine", tmp_path / "mine", recipe, 1, said.append)
    for attempt, end in ((1, "failed"), (2, "finished")):
        tracker = MlflowTracker(experiment="tried", uri=uri)
        tracker.run_started(run._replace(attempt=attempt))
        tracker.step(attempt, {"reward": 0.5 * attempt, "time/step": 2.0})
        getattr(tracker, end)("no memory" if end == "failed" else tmp_path / "mine" / "model")
    later = MlflowTracker(experiment="tried", uri=uri)
    later.run_resumed(run)
    figure = {"value": 0.9, "low": 0.8, "high": 1.0, "n": 10}
    cell = {
        "set": "xstest/safe",
        "kind": "benign",
        "temperature": 0.6,
        "metrics": {"complied": figure, "none": {"value": None}},
    }
    later.evaluated({"sets": [cell]}, "")
    later.finished(tmp_path / "mine" / "model")

    client = MlflowClient(uri)
    (found,) = client.search_runs([client.get_experiment_by_name("tried").experiment_id])
    assert found.info.status == "FINISHED"
    assert found.data.params["reward.components.0.use"] == "format"
    assert [(m.step, m.value) for m in client.get_metric_history(found.info.run_id, "reward")] == [(1, 0.5), (2, 1.0)]
    assert found.data.metrics["eval/xstest/safe/benign/T0.6/complied.low"] == 0.8
    assert len(said) == 1
