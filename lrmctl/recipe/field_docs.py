"""The sentence under each field of a section, read from the source.

pydantic can read them itself (`use_attribute_docstrings`), but does so whenever a section is imported, which every
command that loads a recipe would pay for.
"""

from __future__ import annotations

import ast
import inspect
import sys
from functools import cache
from pathlib import Path

from lrmctl.recipe.schema.sections import Section


def sentences(section: type[Section]) -> dict[str, str]:
    """Field -> its sentence on one line; a field that is declared again without one keeps the one that it inherits."""
    found: dict[str, str] = {}
    for cls in reversed(section.__mro__):
        if issubclass(cls, Section):
            found |= _of_module(str(sys.modules[cls.__module__].__file__)).get(cls.__name__, {})
    return found


def summary(section: type[Section]) -> str:
    """A section's own docstring on one line, empty without one."""
    return " ".join(inspect.cleandoc(section.__doc__ or "").split())


@cache
def _of_module(file: str) -> dict[str, dict[str, str]]:
    """Class -> field -> sentence, for every class of a source file."""
    tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    return {node.name: _of_class(node) for node in tree.body if isinstance(node, ast.ClassDef)}


def _of_class(node: ast.ClassDef) -> dict[str, str]:
    found = {}
    for field, below in zip(node.body, node.body[1:], strict=False):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str):
            found[field.target.id] = " ".join(inspect.cleandoc(below.value.value).split())
    return found
