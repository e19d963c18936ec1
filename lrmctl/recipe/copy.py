"""Copies a shipped recipe to a user's file that loads from any folder."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from lrmctl.errors import NotFoundError, RunExistsError
from lrmctl.recipe.find import find_part, find_recipe, is_part, schema_file, shipped, shipped_files
from lrmctl.recipe.load import load_recipe
from lrmctl.recipe.yaml import parse, text_of

_SCHEMA = re.compile(r"^# yaml-language-server: \$schema=(\S+)$", re.MULTILINE)
"""The line that names the JSON Schema of a recipe to editors."""


def copy_recipe(ref: str, to: Path | None = None, on: str | None = None) -> Path:
    """Copy a recipe for editing; `extends:` and the schema for editors are rewritten so that the copy works anywhere.

    Args:
        ref: a recipe, or the full name of a shipped method or model (`models/qwen3-8b`).
        to: the new file or its folder; by default the same file name in the working folder.
        on: the model to apply a method to; the copy then extends both.

    Raises:
        NotFoundError: the recipe or the target folder does not exist.
        RecipeError: the recipe cannot be read.
        RunExistsError: the new file already exists.
    """
    files = (shipped_files()[ref],) if on is None and is_part(ref) else find_recipe(ref, on=on)
    text = _copied(files[0]) if len(files) == 1 else _extending(ref, on, files)
    target = to or Path(files[0].name)
    if target.is_dir():
        target = target / files[0].name
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise RunExistsError(f"{target} is already there", fix="name another file") from None
    except FileNotFoundError:
        raise NotFoundError(f"there is no folder {target.parent}") from None
    return target


def _extending(ref: str, on: str | None, files: tuple[Path, ...]) -> str:
    """A recipe that extends a method and a model."""
    recipe = load_recipe(ref, on=on).recipe
    own = {"name": recipe.name, "description": recipe.description}
    parts = yaml.safe_dump([_portable(file) for file in files], default_flow_style=True, allow_unicode=True, width=999)
    head = "# What is written below wins over both; `lrmctl recipe show` prints the whole recipe.\n"
    rest = yaml.safe_dump(own, sort_keys=False, allow_unicode=True, width=999)
    return f"{_schema_line(schema_file())}\n{head}extends: {parts}{rest}"


def _copied(source: Path) -> str:
    """The file's text, including comments, with portable names under `extends:`."""
    text = text_of(source)
    parse(text, source)  # raises an error with the line if this is not YAML
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    nodes = [value for key, value in pairs if key.value == "extends"]
    parents = [item for node in nodes for item in (node.value if isinstance(node, yaml.SequenceNode) else [node])]
    for node in reversed(parents):
        listed = yaml.safe_dump([_portable_name(str(node.value), source)], default_flow_style=True, width=999)
        text = text[: node.start_mark.index] + listed.strip()[1:-1] + text[node.end_mark.index :]
    named = _SCHEMA.search(text)
    if named and ":" not in named[1] and (file := source.parent / named[1]).is_file():
        text = text[: named.start()] + _schema_line(file) + text[named.end() :]
    return text


def _schema_line(file: Path) -> str:
    return f"# yaml-language-server: $schema={file.resolve().as_uri()}"


def _portable_name(parent: str, source: Path) -> str:
    files = find_part(parent, source)
    return parent if files == shipped().get(parent) else _portable(files[0])


def _portable(file: Path) -> str:
    """The file's shipped name, else its absolute path."""
    names = (name for name, known in shipped_files().items() if known.resolve() == file.resolve())
    return next(names, str(file.resolve()))
