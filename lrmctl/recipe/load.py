"""Loads a recipe from a file or shipped name: `extends`, `--set`, validation, and errors that name file and line.

The schema is in `schema`, YAML parsing in `yaml`, name resolution in `find`. Whether plugins exist is not checked here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from lrmctl._util.suggest import did_you_mean
from lrmctl.errors import RecipeError
from lrmctl.recipe.extends import read_together
from lrmctl.recipe.find import exists, find_recipe
from lrmctl.recipe.function_ref import absolute
from lrmctl.recipe.schema.recipes import (
    AnyRecipe,
    DataRecipe,
    EvalRecipe,
    PreferenceRecipe,
    RlRecipe,
    SftRecipe,
    StudyRecipe,
)
from lrmctl.recipe.yaml import Document, KeyPath, assign, dotted, leaves, parse_value, walk

KINDS: Mapping[str, type[AnyRecipe]] = {
    "sft": SftRecipe,
    "preference": PreferenceRecipe,
    "rl": RlRecipe,
    "eval": EvalRecipe,
    "study": StudyRecipe,
    "data": DataRecipe,
}
_SHOWN = 40
_FILE_OPTIONS = ("path", "file")
_FILES_OF = {"decoding": ("thoughts",), "build": ("file", "of", "thoughts")}
"""Keys of sections that hold a file."""
_NO_MODEL = "; write one, or give one with `--on MODEL` (`lrmctl recipe list` names them)"


@dataclass(frozen=True)
class LoadedRecipe:
    """A recipe, and where each of its keys was written.

    Attributes:
        recipe: the validated recipe.
        path: the file it was read from (the extending one, not the extended ones); the method's, if applied to a model.
        sets: the `--set` overrides that were applied.
        on: the file of the model it was applied to; None if the recipe is one file.
    """

    recipe: AnyRecipe
    path: Path
    sets: tuple[str, ...] = ()
    on: Path | None = None
    _document: Document = field(default_factory=lambda: Document({}), repr=False, compare=False)

    @property
    def resolved(self) -> dict[str, Any]:
        """The whole recipe as JSON types, with all defaults filled in."""
        return self.recipe.model_dump(mode="json")

    def where(self, *path: str | int) -> str:
        """`file:line` (or the `--set`) of a key, e.g. `where("reward", "components", 0, "use")`."""
        return str(self._document.where(path))

    def is_set(self, *path: str | int) -> bool:
        """Whether a key is set in the recipe, in one it extends or by `--set`, rather than a default."""
        data = self._document.data
        for key in path:
            if not _holds(data, key):
                return False
            data = data[key]
        return True

    def override(self, values: Mapping[str, Any], place: str = "override") -> LoadedRecipe:
        """A copy of the recipe with some dotted keys set to other values, validated again.

        Args:
            values: dotted key -> value, e.g. `{"model": "run:base", "algorithm.steps": 4}`. A mapping is merged
                into an existing section key by key, as with `extends`; anything else replaces.
            place: prefix of the location in error messages.
        """
        document = Document(deepcopy(self._document.data), dict(self._document.marks))
        for key, value in values.items():
            for path, leaf in leaves(document, key, value):
                assign(document, path, leaf, f"{place} {key}")
        return LoadedRecipe(_validate(document, self.path), self.path, self.sets, self.on, document)

    def with_runs(self, names: Mapping[str, str]) -> LoadedRecipe:
        """A copy of the recipe in which `run:OLD` is `run:NEW` wherever it is written, for each OLD -> NEW.

        Raises:
            RecipeError: the recipe names no such run.
        """
        document = Document(deepcopy(self._document.data), dict(self._document.marks))
        missing = set(names)
        for path, value in list(walk(document.data)):
            old, at, variant = str(value).removeprefix("run:").partition("@")
            if isinstance(value, str) and value.startswith("run:") and old in names:
                _set(document.data, path, f"run:{names[old]}{at}{variant}")
                missing.discard(old)
        if missing:
            what = f"the recipe names no `run:{min(missing)}`"
            raise RecipeError(what, str(self.path), "name a run that it names, or leave it out of `runs:`")
        return LoadedRecipe(_validate(document, self.path), self.path, self.sets, self.on, document)


def load_recipe(
    ref: str | Path,
    sets: Sequence[str] = (),
    *,
    beside: Path | None = None,
    on: str | None = None,
) -> LoadedRecipe:
    """Load a recipe by file or by shipped name.

    Args:
        ref: an existing file, else the name of a shipped recipe (`lrmctl recipe list`).
        sets: `a.b=value` overrides; values are parsed as YAML.
        beside: the recipe file that names `ref`; relative files are resolved against its folder first.
        on: the model to apply a method (`ref`, by name or file) to: a file, or the name of a shipped model.

    Raises:
        NotFoundError: neither a file nor a shipped recipe; no such model.
        RecipeError: the recipe, one it extends, or an override is invalid; all problems in one error.
    """
    files = find_recipe(ref, beside, on)
    document = read_together(files, ())
    for text in sets:
        key, value_text = _split_set(text)
        for key_path, value in leaves(document, key, parse_value(value_text, f"--set {text}")):
            assign(document, key_path, value, f"--set {text}")
    _resolve_files(document)
    recipe = _validate(document, files[0])
    return LoadedRecipe(recipe, files[0], tuple(sets), files[1] if len(files) > 1 else None, document)


def _split_set(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise RecipeError("is not an override", where=f"--set {text}", fix="write --set section.key=value")
    return key.strip(), value


def _resolve_files(document: Document) -> None:
    """Make relative files in options and function references absolute; they are relative to the recipe naming them."""
    for path, value in walk(document.data):
        # also matches a study arm's `set: {reward.components: [...]}`
        if len(path) > 2 and path[-1] == "fn" and str(path[-3]).endswith("components") and isinstance(value, str):
            place = document.where(path).file
            _set(document.data, path, absolute(value, place.parent if place else Path()))
            continue
        if not _names_a_file(path):
            continue
        origin = document.where(path).file
        if isinstance(value, str) and origin is not None and exists(file := origin.parent / value):
            _set(document.data, path, str(file.resolve()))


def _names_a_file(path: KeyPath) -> bool:
    """Whether the key holds a file: in a plugin's options, or in a section of its own such as `decoding`."""
    if len(path) < 2:
        return False
    section = str(path[-2])
    if path[-1] in _FILE_OPTIONS and section.endswith("options"):
        return True
    if path[-1] == "thoughts" and "prefill" in map(str, path):
        return True
    return any(path[-1] in keys and section.endswith(name) for name, keys in _FILES_OF.items())


def _set(data: Any, path: KeyPath, value: Any) -> None:
    for key in path[:-1]:
        data = data[key]
    data[path[-1]] = value


def _validate(document: Document, path: Path) -> AnyRecipe:
    kind = document.data.get("kind")
    model = KINDS.get(kind) if isinstance(kind, str) else None
    if model is None:
        what = f"kind: {kind!r} is not a kind of recipe" if kind is not None else "`kind:` is missing"
        hint = did_you_mean(str(kind or ""), KINDS)
        raise RecipeError(what, where=str(document.where(("kind",))) or str(path), fix=hint)
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        raise _recipe_error(document, model, error) from None


def _recipe_error(document: Document, model: type[BaseModel], error: ValidationError) -> RecipeError:
    """One error that lists every problem as `file:line: key: message`."""
    messages: dict[KeyPath, list[str]] = {}
    too_short: set[KeyPath] = set()
    for problem in error.errors(include_url=False):
        about = getattr(problem.get("ctx", {}).get("error"), "at", ())
        path, missing = _data_path(document.data, (*problem["loc"], *about))
        text = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "too_short" and path:
            too_short.add(path)
        if problem["type"] == "extra_forbidden":
            text = f"is not known here; {did_you_mean(str(path[-1]), _fields(model, path[:-1]))}"
        elif problem["type"] == "missing":
            text = (
                "has too few values"
                if isinstance(problem["loc"][-1], int)
                else f"`{missing}:` is missing" + (_NO_MODEL if missing == "model" and not path else "")
            )
        elif problem["type"] == "model_type":
            text = f"is a section with keys of its own, not {problem['input']!r:.40}"
        elif problem["type"] == "literal_error" and isinstance(problem["input"], str):
            choices = re.findall(r"'([^']*)'", str(problem.get("ctx", {}).get("expected", "")))
            guess = did_you_mean(problem["input"], choices)
            text += f", not {problem['input']!r}" + (f"; {guess}" if guess.startswith("did") else "")
        known = messages.setdefault(path, [])
        if text not in known:
            known.append(text)
    for path in too_short:  # pydantic counts only the valid items; the invalid ones have their own messages
        if any(other != path and other[: len(path)] == path for other in messages):
            del messages[path]
    lines = [
        (str(document.where(path)), f"{dotted(path)}: {', or '.join(texts)}" if path else ", or ".join(texts))
        for path, texts in messages.items()
    ]
    if len(lines) == 1:
        return RecipeError(lines[0][1], where=lines[0][0])
    more = f"\n  and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    listed = "".join(f"\n  {w}: {text}" for w, text in lines[:_SHOWN])
    return RecipeError(f"the recipe has {len(lines)} problems:{listed}{more}")


def _data_path(data: Any, location: tuple[str | int, ...]) -> tuple[KeyPath, str]:
    """Pydantic's location without its names of union branches, and the key that is missing at the end."""
    path: list[str | int] = []
    left = ""
    for key in location:
        if _holds(data, key):
            data = data[key]
            path.append(key)
        else:
            left = str(key)
    return tuple(path), left


def _holds(data: Any, key: str | int) -> bool:
    if isinstance(data, dict):
        return key in data
    return isinstance(data, list) and isinstance(key, int) and key < len(data)


def _fields(model: type[BaseModel], path: KeyPath) -> list[str]:
    """Keys allowed in the section at this path."""
    models = [model]
    for key in (k for k in path if isinstance(k, str)):
        annotations = [m.model_fields[key].annotation for m in models if key in m.model_fields]
        models = [section for annotation in annotations for section in _sections(annotation)]
    return [info.alias or name for section in models for name, info in section.model_fields.items()]


def _sections(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for inner in get_args(annotation) for section in _sections(inner)]
