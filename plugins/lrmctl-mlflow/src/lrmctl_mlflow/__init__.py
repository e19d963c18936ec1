"""Runs of lrmctl in MLflow: recipe as parameters, metrics of steps, figures of evaluations with their intervals."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lrmctl import hookimpl
from lrmctl.hooks import Register, TrackedRun, Tracker

lrmctl_api = 1
LONGEST = 500  # characters of a parameter's value that every MLflow store takes
AT_ONCE = 100  # parameters of one request


class MlflowTracker(Tracker):
    """One MLflow run for each run of lrmctl; all attempts, evaluations and analyses of it go there.

    Args:
        experiment: name of the MLflow experiment.
        uri: of the tracking server or store; MLflow's own (MLFLOW_TRACKING_URI, or ./mlruns) by default.
    """

    def __init__(self, experiment: str = "lrmctl", uri: str | None = None) -> None:
        self._experiment, self._uri = experiment, uri
        self._client: Any = None
        self._run = ""

    def run_started(self, run: TrackedRun) -> None:
        self._open(run)

    def run_resumed(self, run: TrackedRun) -> None:
        self._open(run)

    def step(self, step: int, metrics: Mapping[str, float]) -> None:
        self._log(metrics, step)

    def evaluated(self, summary: Mapping[str, Any], variant: str) -> None:
        prefix = f"eval-{variant}" if variant else "eval"
        self._log(dict(figures(summary, prefix)), 0)

    def finished(self, model: Path) -> None:
        self._client.set_tag(self._run, "lrmctl.model", str(model))
        self._client.set_terminated(self._run, "FINISHED")

    def failed(self, error: str) -> None:
        self._client.set_tag(self._run, "lrmctl.error", error[:LONGEST])
        self._client.set_terminated(self._run, "FAILED")

    def _open(self, run: TrackedRun) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Param

        self._client = MlflowClient(self._uri)
        file = run.folder / "logs" / "mlflow-run-id"
        if file.exists():
            self._run = file.read_text(encoding="utf-8").strip()
            self._client.update_run(self._run, status="RUNNING")
            return
        found = self._client.get_experiment_by_name(self._experiment)
        experiment = found.experiment_id if found else self._client.create_experiment(self._experiment)
        self._run = self._client.create_run(experiment, run_name=run.name).info.run_id
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self._run, encoding="utf-8")
        params = [Param(key, str(value)[:LONGEST]) for key, value in flat(run.recipe) if str(value)]
        for start in range(0, len(params), AT_ONCE):
            self._client.log_batch(self._run, params=params[start : start + AT_ONCE])
        run.say(f"mlflow: run {self._run} of the experiment {self._experiment!r}")

    def _log(self, metrics: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        told = [Metric(name(key), float(value), now, step) for key, value in metrics.items() if value is not None]
        self._client.log_batch(self._run, metrics=told)


def figures(summary: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, float]]:
    """Every figure of an evaluation with its interval and n; those that could not be computed are left out."""
    for entry in summary.get("sets", ()):
        for metric, figure in entry.get("metrics", {}).items():
            if isinstance(figure, Mapping) and figure.get("value") is not None:
                key = (
                    f"{prefix}/{entry.get('set', '')}/{entry.get('kind', '')}/T{entry.get('temperature', '')}/{metric}"
                )
                yield key, figure["value"]
                yield from (
                    (f"{key}.{part}", figure[part]) for part in ("low", "high", "n") if figure.get(part) is not None
                )


def flat(recipe: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys of a recipe with their values."""
    if isinstance(recipe, Mapping):
        for key, value in recipe.items():
            yield from flat(value, f"{path}.{key}" if path else str(key))
    elif isinstance(recipe, list | tuple):
        for i, value in enumerate(recipe):
            yield from flat(value, f"{path}.{i}")
    elif recipe is not None:
        yield name(path), recipe


def name(text: str) -> str:
    """A name that MLflow takes: other characters become underscores."""
    return "".join(c if c.isalnum() or c in "_-. /" else "_" for c in text)


@hookimpl
def lrmctl_trackers(register: Register) -> None:
    register("mlflow", MlflowTracker, summary="runs in MLflow: recipe, metrics of steps, figures of evaluations")
