"""Merges a recipe file with what it extends, and a method with a model, into one document.

Nothing is validated against the schema here, so that listing recipes does not import it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any

from lrmctl.errors import NotFoundError, RecipeError
from lrmctl.recipe.find import find_part
from lrmctl.recipe.yaml import Document, SourcePosition, merge, read


def read_part(file: Path) -> dict[str, Any]:
    """A method or model file, merged with what it extends; not validated, because it is not a whole recipe.

    Raises:
        NotFoundError: it extends something that does not exist.
        RecipeError: it cannot be read.
    """
    data: dict[str, Any] = _read_extended(file, ()).data
    return data


def read_together(files: Sequence[Path], children: tuple[Path, ...]) -> Document:
    """Merge the files, each with what it extends, into one document; later files override earlier ones.

    Args:
        children: files that extend these, to detect cycles.

    Raises:
        NotFoundError: one extends something that does not exist.
        RecipeError: one cannot be read, or `extends` forms a cycle.
    """
    return reduce(_overlay, (_read_extended(file, children) for file in files))


def _overlay(base: Document, over: Document) -> Document:
    """Merge `over` onto `base`; for a method and a model the names are joined, so that runs get different names."""
    merged = merge(base, over)
    method, model = (base, over) if "kind" in base.data else (over, base)
    if "kind" in method.data and "kind" not in model.data:
        for key, between in (("name", "-"), ("description", "; ")):
            texts = [part.data.get(key) for part in (model, method)]
            if all(isinstance(text, str) for text in texts):
                merged.data[key] = between.join(texts)
    return merged


def _read_extended(path: Path, children: tuple[Path, ...]) -> Document:
    if path.resolve() in children:
        raise RecipeError("recipes extend one another in a circle", where=str(path))
    document = read(path)
    if not isinstance(document.data, dict):
        raise RecipeError("a recipe is a mapping of keys to values", where=f"{path}:1")
    if "extends" not in document.data:
        return document
    parents, mark = document.data.pop("extends"), document.where(("extends",))
    named = [(parents, mark)]
    if isinstance(parents, list):
        named = [(parent, document.where(("extends", i))) for i, parent in enumerate(parents)]
    for key_path in [key_path for key_path in document.marks if key_path[:1] == ("extends",)]:
        del document.marks[key_path]
    if not named or not all(isinstance(parent, str) for parent, _ in named):
        raise RecipeError("extends: a file or shipped name, or a list of them of which a later one wins", str(mark))
    extended = [_read_parent(parent, place, path, children) for parent, place in named]
    return merge(reduce(_overlay, extended), document)


def _read_parent(parent: str, place: SourcePosition, child: Path, children: tuple[Path, ...]) -> Document:
    try:
        files = find_part(parent, child)
    except NotFoundError as error:
        raise NotFoundError(f"extends: {error.what}", where=str(place), fix=error.fix) from None
    return read_together(files, (*children, child.resolve()))
