"""The result of a data build as a source: `run:NAME` in a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lrmctl.data.sources import Demonstration, RowSource
from lrmctl.errors import NotFoundError, RecipeError
from lrmctl.rows.files import all_rows, file_sha256
from lrmctl.runs.damage import read_object
from lrmctl.runs.folder import RunFolder
from lrmctl.runs.names import named_run, runs_folder
from lrmctl.types import Prompt

if TYPE_CHECKING:
    from lrmctl.data.pairs.pair import PreferencePair


class BuiltRows(RowSource):
    """The rows of a data build, which are either pairs or not; only a recipe of kind preference takes pairs."""

    def prompts(self) -> list[Prompt]:
        """Raises RecipeError: the rows are pairs."""
        self._need(pairs=False)
        return super().prompts()

    def demonstrations(self) -> list[Demonstration]:
        """Raises RecipeError: the rows are pairs, or none is a demonstration."""
        self._need(pairs=False)
        return super().demonstrations()

    def pairs(self) -> list[PreferencePair]:
        """Raises RecipeError: the rows are no pairs."""
        self._need(pairs=True)
        return super().pairs()

    def _need(self, *, pairs: bool) -> None:
        are_pairs = any("chosen" in row for row in self._rows[:1])
        if pairs == are_pairs:
            return
        if pairs:
            what, fix = "holds no preference pairs", "name a build with `use: intervene`, or train with sft or rl"
        else:
            what, fix = "holds preference pairs", "name it in a recipe of kind preference"
        raise RecipeError(f"the data build {self._name.removeprefix('run:')!r} {what}", self._name, fix)


def run_source(name: str, n: int | None = None, kind: str | None = None) -> BuiltRows:
    """The rows of a finished data build.

    Args:
        name: of its run, as in `lrmctl run list`.
        n: use only the first n rows.
        kind: prompt kind of rows that do not state one.

    Raises:
        NotFoundError: there is no such build, or it is not finished.
    """
    path = rows_of_run(name)
    if why := unbuilt_reason(name):
        raise NotFoundError(why, f"run:{name}", "run `lrmctl data build` to its end, or name another run")
    lock = read_object(path.parent / "lock.json")
    origin = {
        "run": name,
        "file": str(path),
        "sha256": file_sha256(path),
        "sha256_of": "file",
        "recipe_sha256": lock.get("recipe_sha256"),
        "lineage": lock.get("lineage"),
        "licences": read_object(path.parent / "summary.json").get("licences", []),
    }
    return BuiltRows(all_rows(path, n=n), f"run:{name}", kind, origin)


def rows_of_run(name: str) -> Path:
    """The file of a build's rows, whether it is there or not."""
    return runs_folder() / named_run(f"run:{name}") / "rows.jsonl"


def unbuilt_reason(name: str) -> str:
    """Why a run has no rows that a recipe can name; empty if it has."""
    path = rows_of_run(name)
    folder = RunFolder(path.parent)
    if not folder.lock.is_file():
        return f"there is no data build {name!r} in {path.parents[1]}"
    if read_object(folder.lock).get("recipe", {}).get("kind") != "data":
        return f"the run {name!r} is no data build"
    return (
        "" if folder.status().get("state") == "done" and path.is_file() else f"the data build {name!r} is not finished"
    )
