"""Runs of lrmctl in Trackio, which keeps everything on this machine: metrics of steps, figures, some rollouts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lrmctl import hookimpl
from lrmctl.hooks import Register, TrackedRun, Tracker

lrmctl_api = 1


class TrackioTracker(Tracker):
    """One Trackio run for each run of lrmctl; all attempts and evaluations of it go there.

    Args:
        project: name of the Trackio project.
        rollouts: rollouts of each step that are kept as a table; 0 for none.
    """

    def __init__(self, project: str = "lrmctl", rollouts: int = 0) -> None:
        if rollouts < 0:
            raise ValueError(f"rollouts must be 0 or more, not {rollouts}")
        self._project, self._rollouts = project, rollouts
        self._run: Any = None

    def run_started(self, run: TrackedRun) -> None:
        self._open(run)
        run.say(f"trackio: `trackio show --project {self._project}` shows the run")

    def run_resumed(self, run: TrackedRun) -> None:
        self._open(run)

    def step(self, step: int, metrics: Mapping[str, float]) -> None:
        self._run.log({key: value for key, value in metrics.items() if value is not None}, step=step)

    def rollouts(self, step: int, rows: Sequence[Mapping[str, Any]]) -> None:
        if self._rollouts and rows:
            import pandas as pd
            import trackio

            columns = ("prompt", "thinking", "answer", "reward")
            some = pd.DataFrame([{key: row.get(key) for key in columns} for row in rows[: self._rollouts]])
            self._run.log({"rollouts": trackio.Table(dataframe=some)}, step=step)

    def evaluated(self, summary: Mapping[str, Any], variant: str) -> None:
        self._run.log(dict(figures(summary, f"eval-{variant}" if variant else "eval")))

    def finished(self, model: Path) -> None:  # noqa: ARG002
        self._run.finish()

    def failed(self, error: str) -> None:  # noqa: ARG002
        self._run.finish()

    def left(self) -> None:
        self._run.finish()

    def _open(self, run: TrackedRun) -> None:
        import trackio

        self._run = trackio.init(
            project=self._project, name=run.name, config=dict(run.recipe), resume="allow", embed=False
        )


def figures(summary: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, float]]:
    """The figures of an evaluation; those that could not be computed are left out."""
    for entry in summary.get("sets", ()):
        for metric, figure in entry.get("metrics", {}).items():
            if isinstance(figure, Mapping) and figure.get("value") is not None:
                yield f"{prefix}/{entry.get('set', '')}/{entry.get('kind', '')}/{metric}", figure["value"]


@hookimpl
def lrmctl_trackers(register: Register) -> None:
    register("trackio", TrackioTracker, summary="runs in Trackio, on this machine: metrics, figures, rollouts")
