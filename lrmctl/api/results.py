"""Results of the API: a run and its evaluations, read from their folders on access."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrmctl.api.recipes import runs_in
from lrmctl.api.targets import eval_folder, run_folder
from lrmctl.runs.check import check_summary
from lrmctl.runs.damage import read_object
from lrmctl.runs.eval_rows import EvalRow
from lrmctl.runs.folder import RunFolder
from lrmctl.runs.jsonl import read_jsonl


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of one model.

    Attributes:
        folder: holds `summary.json`, `rows.jsonl` and `completions.sqlite`.
    """

    folder: Path

    @property
    def summary(self) -> dict[str, Any]:
        """The whole summary: model, engine, settings, warnings, and one entry per set (docs/evaluation.md)."""
        return read_object(self.folder / "summary.json")

    @property
    def warnings(self) -> list[str]:
        """Cautions about the results."""
        return list(self.summary["warnings"])

    def figures(self) -> list[dict[str, Any]]:
        """One flat row per metric of each set, kind of prompt and temperature; `pandas.DataFrame(...)` accepts them.

        Keys: `set`, `kind`, `temperature`, `metric`, `value`, `low`, `high` (95 % interval), `n` (what the figure is
        a mean of), `prompts`, `samples`, `judge`, `judge_version`. `value` is None where nothing could be counted.
        """
        return [
            {
                "set": entry["set"],
                "kind": entry["kind"],
                "temperature": entry["temperature"],
                "metric": name,
                **{key: figure.get(key) for key in ("value", "low", "high", "n")},
                "prompts": entry["prompts"],
                "samples": entry["samples"],
                "judge": entry.get("judge"),
                "judge_version": entry.get("judge_version"),
            }
            for entry in self.summary["sets"]
            for name, figure in entry["metrics"].items()
        ]

    def figure(self, metric: str, *, set: str | None = None, temperature: float | None = None) -> dict[str, Any]:
        """The one row with this metric.

        Raises:
            LookupError: there is none, or several sets or temperatures have it.
        """
        wanted = {"set": set, "temperature": temperature}
        found = [
            row
            for row in self.figures()
            if row["metric"] == metric and all(value is None or row[key] == value for key, value in wanted.items())
        ]
        if len(found) != 1:
            there = sorted({f"{row['set']} at {row['temperature']}" for row in found or self.figures()})
            what = "is in several sets" if found else "is in no set"
            raise LookupError(f"the metric {metric!r} {what}; there are: {', '.join(there)}")
        return found[0]

    def rows(self) -> Iterator[EvalRow]:
        """Every trace with its verdicts."""
        return (EvalRow.from_json(row) for row in read_jsonl(self.folder / "rows.jsonl"))


class Run(RunFolder):
    """A run: its state, training metrics, and evaluations. Reads its folder again on each access."""

    @property
    def state(self) -> str:
        """`running`, `interrupted`, `failed`, `done`, or `not trained here` (a model that was only evaluated)."""
        return str(self.status().get("state", "not trained here"))

    def training_metrics(self) -> list[dict[str, Any]]:
        """One row per training step (docs/training.md); empty if nothing was trained here."""
        return list(read_jsonl(self.metrics))

    def training_rollouts(self) -> Iterator[dict[str, Any]]:
        """Every rollout of RL with its rewards, component by component (docs/reward-service.md)."""
        return read_jsonl(self.rollouts)

    def evaluation(self, variant: str = "") -> Evaluation:
        """The run's evaluation, or a variant kept beside it.

        Raises:
            NotFoundError: there is no such evaluation.
        """
        folder = eval_folder(f"{self.path}@{variant}" if variant else str(self.path), self.path.parent)
        check_summary(folder / "summary.json")
        return Evaluation(folder)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, {self.state})"


def load_run(run: str | Path, *, runs_dir: str | Path | None = None) -> Run:
    """Load an existing run.

    Args:
        run: `run:NAME`, its name, or its folder.
        runs_dir: folder of all runs, for runs given by name; `LRMCTL_RUNS`, else `runs`, by default.

    Raises:
        NotFoundError: there is none.
        DamagedError: a file of it cannot be read.
    """
    with runs_in(runs_dir) as folder:
        return Run(run_folder(str(run), folder))
