"""Describes a reward before it is made: who provides it, its options, range and documentation.

Also the one place that parses a reward on the command line (`correct`, `./my_reward.py:score`) to a component.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrmctl.errors import RecipeError
from lrmctl.hooks import registry
from lrmctl.hooks.specs import UNBOUNDED
from lrmctl.recipe.function_ref import FunctionRef, absolute, check_function, read_function
from lrmctl.recipe.schema.recipes import Component
from lrmctl.recipe.yaml import parse_options


@dataclass(frozen=True)
class RewardOption:
    """One keyword of a reward's factory or function.

    Attributes:
        default: as written in Python; empty if the option is required.
    """

    name: str
    default: str
    annotation: str = ""


@dataclass(frozen=True)
class RewardDescription:
    """The description of a reward.

    Attributes:
        origin: the distribution and version that registered it, or the file.
        range: lowest and highest score; None if it is unknown before the reward is made.
    """

    name: str
    origin: str
    summary: str
    doc: str
    options: Sequence[RewardOption]
    range: tuple[float, float] | None

    def to_json(self) -> dict[str, Any]:
        """JSON values; infinite bounds, which JSON does not have, are text."""
        bounds = None if self.range is None else [float(b) if abs(b) != float("inf") else str(b) for b in self.range]
        return {**vars(self), "range": bounds, "options": [vars(option) for option in self.options]}


def rewards() -> list[RewardDescription]:
    """Every registered reward."""
    return [describe(entry.name) for entry in registry.names("reward")]


def describe(text: str) -> RewardDescription:
    """One reward, registered or in a file, which is parsed and not executed.

    Raises:
        LrmctlError: no such reward is registered; the file or function is missing, or cannot be loaded.
    """
    if is_file(text):
        try:
            ref = FunctionRef.parse(absolute(text, Path()))
        except ValueError as error:
            raise RecipeError(str(error)) from None
        said = read_function(ref)
        options = [RewardOption(name, default, kind) for name, default, kind in said.options]
        return RewardDescription(ref.label, str(ref.file), said.doc.partition("\n")[0], said.doc, options, said.range)
    entry = registry.find("reward", text)
    origin = entry.distribution if entry.builtin else f"{entry.distribution} {entry.version}"
    doc = inspect.getdoc(entry.factory) or ""
    return RewardDescription(entry.name, origin, entry.summary, doc, _options(entry.factory), _bounds(entry.factory))


def is_file(text: str) -> bool:
    """Whether a name refers to a function in a file."""
    return ".py:" in text or text.endswith(".py")


def component(text: str, options: Sequence[str] = (), part: str = "whole") -> Component:
    """The component of a registered name or a function.

    Args:
        options: `key=value`, typed as in YAML.

    Raises:
        LrmctlError: unknown name or function, an option that it does not take, or one that is not `key=value`.
    """
    given = parse_options(options)
    if not is_file(text):
        registry.check("reward", text, given)
        return Component.model_validate({"use": text, "options": given, "part": part})
    fn = absolute(text, Path())
    try:
        FunctionRef.parse(fn)
    except ValueError as error:
        raise RecipeError(str(error)) from None
    check_function(fn, given, part=part)
    return Component.model_validate({"fn": fn, "options": given, "part": part})


def _options(call: Any) -> list[RewardOption]:
    try:
        parameters: Mapping[str, inspect.Parameter] = inspect.signature(call).parameters
    except (TypeError, ValueError):  # a C callable has no signature
        return []
    named = [p for p in parameters.values() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return [
        RewardOption(
            p.name,
            "" if p.default is p.empty else repr(p.default),
            "" if p.annotation is p.empty else inspect.formatannotation(p.annotation),
        )
        for p in named
    ]


def _bounds(factory: Any) -> tuple[float, float] | None:
    bounds = getattr(factory, "range", UNBOUNDED)
    known = isinstance(bounds, Sequence) and len(bounds) == 2 and bounds != UNBOUNDED
    return (float(bounds[0]), float(bounds[1])) if known else None
