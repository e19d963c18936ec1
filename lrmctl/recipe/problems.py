"""Problems of a recipe that parses, as data, and one error that names the line of each.

Knows nothing of what finds problems (the schema, a backend).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lrmctl.errors import RecipeError

if TYPE_CHECKING:
    from lrmctl.recipe.load import LoadedRecipe
    from lrmctl.recipe.yaml import KeyPath


@dataclass(frozen=True)
class Problem:
    """One problem or note.

    Attributes:
        key: dotted key of the recipe, e.g. `algorithm.samples_per_prompt` or `backend.flags.train.seed`.
        what: one sentence.
        fix: what to write instead.
        note: only information; the run continues.
    """

    key: str
    what: str
    fix: str = ""
    note: bool = False

    def __str__(self) -> str:
        return f"{self.what}; {self.fix}" if self.fix else self.what


@dataclass(frozen=True)
class LocatedProblem:
    """A problem or a note, and where its key was written."""

    where: str
    problem: Problem

    def __str__(self) -> str:
        return f"{self.where}: {self.problem.key}: {self.problem}"


class ProblemsError(RecipeError):
    """All problems of a recipe in one error.

    Attributes:
        problems: at least one.
        places: where each key was written; empty if the recipe's file is unknown.
    """

    def __init__(self, problems: Sequence[Problem], places: Sequence[str] = ()) -> None:
        self.problems = tuple(problems)
        self.places = tuple(places)
        files = places or [""] * len(problems)
        wheres = [f"{file}: {p.key}" if file else p.key for file, p in zip(files, problems, strict=True)]
        if len(problems) == 1:
            super().__init__(problems[0].what, wheres[0], problems[0].fix)
        else:
            lines = [f"\n  {where}: {problem}" for where, problem in zip(wheres, problems, strict=True)]
            super().__init__(f"the recipe has {len(lines)} problems:" + "".join(lines))

    def __reduce__(self) -> Any:
        return type(self), (self.problems, self.places)


def raise_for(problems: Sequence[Problem]) -> None:
    """Raises ProblemsError if there are problems other than notes."""
    if wrong := [p for p in problems if not p.note]:
        raise ProblemsError(wrong)


def place(loaded: LoadedRecipe, key: str) -> str:
    """`file:line` (or the `--set`) of a dotted key, or of the nearest enclosing section that is written."""
    return loaded.where(*key_path(loaded.resolved, key))


def key_path(data: Any, key: str) -> KeyPath:
    """A dotted key as a path into data. Keys may themselves contain dots, as a backend's flags do."""
    parts, path = key.split("."), list[str | int]()
    while parts:
        taken = next((n for n in range(len(parts), 0, -1) if _holds(data, ".".join(parts[:n]))), 1)
        part: str | int = ".".join(parts[:taken])
        if isinstance(data, list) and str(part).isdigit():
            part = int(part)
        data = data[part] if _holds(data, str(part)) else None
        path.append(part)
        parts = parts[taken:]
    return tuple(path)


def _holds(data: Any, part: str) -> bool:
    if isinstance(data, dict):
        return part in data
    return isinstance(data, list) and part.isdigit() and int(part) < len(data)


@contextmanager
def located(loaded: LoadedRecipe) -> Iterator[None]:
    """Add file and line to errors raised inside that name a recipe key."""
    try:
        yield
    except ProblemsError as error:
        if error.places:
            raise
        raise ProblemsError(error.problems, [place(loaded, p.key) for p in error.problems]) from None
    except RecipeError as error:
        section = error.where.partition(".")[0]
        if section not in loaded.resolved:
            raise
        raise type(error)(error.what, f"{place(loaded, error.where)}: {error.where}", error.fix) from None
