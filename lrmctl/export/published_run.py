"""What is published of a run, read from its folder. Paths of this machine are shortened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

from lrmctl.models.importing.licence import UNKNOWN, Licence, licence_of_folder
from lrmctl.runs.damage import read_object
from lrmctl.runs.folder import RunFolder
from lrmctl.runs.study_cells import StudyCell, is_study, read_cells

MAIN = {
    "joint_safe": "thinking and answer safe",
    "thinking_safe": "thinking safe",
    "answer_safe": "answer safe",
    "complied": "complied",
    "refused": "refused",
    "correct": "correct",
}
"""Metrics of the card, with how it calls them."""
LOCKED = (
    *("recipe", "recipe_sha256", "sets", "versions", "plugins", "functions", "model", "lineage", "template_sha256"),
    *("backend", "sources", "device", "dtype", "data"),
)
"""What of the lock is published; the command line and environment of the launch are not."""
_MOST_UP = 4


@dataclass(frozen=True)
class StudyArm:
    """One arm of the study that a run is an arm of, with its main figures in percent.

    Attributes:
        figures: column -> percent with its interval, `-` where there is none.
        this: the run that is published.
    """

    label: str
    control: bool
    figures: Mapping[str, str]
    this: bool


@dataclass(frozen=True)
class PublishedRun:
    """What is published of a run.

    Attributes:
        folder: of the run.
        name: as the card calls the model.
        evaluation: folder of the evaluation whose figures the card has.
        text: texts of prompts and completions are published too.
        with_data: data sets that were built for it are described.
        stated_licence: of the weights; otherwise it is read from the base.
    """

    folder: RunFolder
    name: str
    evaluation: Path
    text: bool = False
    with_data: bool = False
    stated_licence: str = ""

    @cached_property
    def lock(self) -> dict[str, Any]:
        """Without the launch, and with paths shortened."""
        lock = read_object(self.folder.lock) if self.folder.lock.exists() else {}
        found: dict[str, Any] = without_paths({key: lock[key] for key in LOCKED if key in lock})
        return found

    @property
    def recipe(self) -> dict[str, Any]:
        return dict(self.lock.get("recipe") or {})

    @property
    def base(self) -> dict[str, Any]:
        """`ref` and `fingerprint` of the model that the first training started from."""
        found = (self.lock.get("lineage") or {}).get("base") or self.lock.get("model") or {}
        return {key: found.get(key) for key in ("ref", "fingerprint")}

    @property
    def stages(self) -> list[dict[str, Any]]:
        """Earlier trainings, the first one first."""
        return list((self.lock.get("lineage") or {}).get("stages") or ())

    @property
    def sources(self) -> list[dict[str, Any]]:
        """The training data, as locked."""
        return list(self.lock.get("sources") or ())

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Of the evaluation; empty without one."""
        file = self.evaluation / "summary.json"
        return without_paths(read_object(file)) if file.exists() else {}

    @property
    def entries(self) -> list[dict[str, Any]]:
        """One per set, kind and temperature."""
        return list(self.summary.get("sets") or ())

    @cached_property
    def is_adapter(self) -> bool:
        return (self.folder.model / "adapter_config.json").is_file()

    @cached_property
    def licence(self) -> Licence:
        """Of the weights: as stated, else that of the model that it started from."""
        if self.stated_licence:
            return Licence(self.stated_licence, "stated when it was published")
        started = started_from(self.folder)
        return licence_of_folder(started) if started else Licence(UNKNOWN, "the base is not on this machine")

    @cached_property
    def builds(self) -> dict[str, Path]:
        """Data sets that were built for its training: name -> folder; none unless asked for."""
        lock = read_object(self.folder.lock) if self.with_data and self.folder.lock.exists() else {}
        found = {}
        for source in lock.get("sources") or ():
            folder = Path(str(source.get("file", ""))).parent
            if source.get("run") and (folder / "summary.json").is_file():
                found[str(source["run"]).replace("/", "-")] = folder
        return found

    @cached_property
    def _study(self) -> tuple[Path, list[StudyCell]] | None:
        above = [folder for folder in list(self.folder.path.parents)[:_MOST_UP] if is_study(folder)]
        return (above[0], read_cells(above[0])) if above else None

    @property
    def study(self) -> str:
        return self._study[0].name if self._study else ""

    @cached_property
    def arms(self) -> list[StudyArm]:
        """The evaluated arms of its study on the same base with the same seed; empty without a study."""
        if self._study is None:
            return []
        study, cells = self._study
        own = next((cell for cell in cells if (study / cell.path).absolute() == self.folder.path), None)
        if own is None:
            return []
        group = [c for c in cells if c.base == own.base and c.seed in (own.seed, None)]
        summaries = {c.path: study / c.path / "eval" / "summary.json" for c in group}
        here = {path: read_object(file).get("sets") or [] for path, file in summaries.items() if file.exists()}
        columns = list(dict.fromkeys(column for entries in here.values() for column in _main_figures(entries)))
        found = []
        for cell in group:
            if cell.path in here:
                figures = _main_figures(here[cell.path])
                shown = {column: figures.get(column, "-") for column in columns}
                found.append(StudyArm(cell.label or cell.arm, cell.control, shown, cell is own))
        return found


def started_from(folder: RunFolder) -> Path | None:
    """The folder of the base, else of the model that the training started from, if one is on this machine."""
    lock = read_object(folder.lock) if folder.lock.exists() else {}
    base, model = (lock.get("lineage") or {}).get("base") or {}, lock.get("model") or {}
    named = (base.get("ref"), model.get("path"))
    return next((Path(path) for path in named if path and Path(path).is_dir()), None)


def _main_figures(entries: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The main figures of each set, in percent with their intervals."""
    found = {}
    for entry in entries:
        for name in ("joint_safe", "answer_safe", "complied", "correct"):
            figure = entry.get("metrics", {}).get(name) or {}
            if figure.get("value") is not None:
                low, high = figure.get("low"), figure.get("high")
                bounds = "" if low is None or high is None else f" [{100 * low:.1f}, {100 * high:.1f}]"
                column = f"{entry['set']} at T {entry['temperature']:g}, {MAIN[name]}"
                found[column] = f"{100 * figure['value']:.1f}{bounds}"
    return found


def without_paths(value: Any) -> Any:
    """The same with absolute paths of this machine cut to their last part, in keys too."""
    if isinstance(value, Mapping):
        return {without_paths(key): without_paths(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_paths(inner) for inner in value]
    if isinstance(value, str) and value.startswith(("/", "~/", "file:/")) and "\n" not in value:
        return PurePath(value).name or value
    return value
