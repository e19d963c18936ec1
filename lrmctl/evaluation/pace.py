"""How long an evaluation will generate, from how long an earlier one of the same model did. Loads no model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lrmctl.engines.store import Pace, pace_of
from lrmctl.errors import LrmctlError
from lrmctl.evaluation.settings import settings_of
from lrmctl.runs.damage import read_object
from lrmctl.runs.listing import all_runs

if TYPE_CHECKING:
    from lrmctl.recipe.schema.evaluation import EvalSection

_SAME = ("max_new_tokens", "decoding", "system", "template_args", "thinking")
"""Settings that change how long a completion is."""


class MeasuredEvaluation(NamedTuple):
    """An earlier evaluation with the same model, engine and token limit.

    Attributes:
        name: of its run, with the variant if it is one: `RUN@VARIANT`.
        device: on which it generated, as its engine named it.
    """

    name: str
    device: str
    pace: Pace

    def hours(self, completions: int) -> float:
        return completions * self.pace.seconds / self.pace.completions / 3600

    def told(self, completions: int) -> str:
        """What the hours are known from, and what they assume."""
        rate = self.pace.completions / self.pace.seconds
        where = f" on {self.device}" if self.device else ""
        return (
            f"{completions:,} completions at {rate:.3g} a second, as {self.pace.completions:,} of {self.name!r}{where};"
            " assumes completions as long as those; judging is not in it"
        )


def earlier_evaluation(target: str, folder: Path, section: EvalSection, runs_dir: Path) -> MeasuredEvaluation | None:
    """The largest evaluation that says how fast this one will be; None if there is none.

    Args:
        target: the model's name or path as the user gives it.
        folder: of the run that the results of this target go to; evaluations in it are of the same model.
    """
    wanted = _settings(settings_of(section))
    found = [
        MeasuredEvaluation(name, str(summary.get("engine", {}).get("device", "")), pace)
        for name, path, summary in _evaluations(target, folder, runs_dir)
        if _settings(summary.get("settings", {})) == wanted
        and summary.get("engine", {}).get("name") == section.engine.use
        and (pace := pace_of(path / "completions.sqlite"))
    ]
    return max(found, key=lambda one: one.pace.completions, default=None)


def _settings(given: Mapping[str, Any]) -> dict[str, Any]:
    return {key: given.get(key) for key in _SAME}


def _evaluations(target: str, folder: Path, runs_dir: Path) -> Iterator[tuple[str, Path, Mapping[str, Any]]]:
    """Name, folder and summary of each finished evaluation of the model."""
    own = folder.absolute()
    for run in dict.fromkeys([own, *(run.absolute() for run in all_runs(runs_dir))]):
        for path in sorted((*run.glob("eval"), *run.glob("eval-*"))):
            try:
                summary = read_object(path / "summary.json")
            except LrmctlError:  # unfinished or damaged: it says nothing
                continue
            if run == own or summary.get("model") == target:
                yield run.name + path.name.removeprefix("eval").replace("-", "@", 1), path, summary
