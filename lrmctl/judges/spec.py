"""Judges as named on a command line: `NAME`, `'NAME: {option: value}'`, and separate options. Makes no judge."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lrmctl.errors import RecipeError
from lrmctl.recipe.yaml import parse_value


@dataclass(frozen=True)
class JudgeSpec:
    """One judge by name, and its options."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """`name` or `name (option=value, ...)`."""
        told = ", ".join(f"{key}={_short(value)}" for key, value in self.options.items())
        return f"{self.name} ({told})" if told else self.name


def _short(value: Any) -> str:
    return "+".join(map(str, value)) if isinstance(value, list) else str(value)


def named_judges(specs: Sequence[str], options: Sequence[str] = (), options_json: str | None = None) -> list[JudgeSpec]:
    """The judges in `--judge`, `--option` and `--options-json`; values are typed as in a recipe.

    Raises:
        RecipeError: a value that cannot be parsed, a judge given twice, or options that could belong to several judges.
    """
    found = [_named(spec) for spec in specs]
    beside = {**_from_json(options_json), **dict(_pair(option) for option in options)}
    if beside and len(found) > 1:
        raise RecipeError(
            "options beside several judges belong to none of them",
            "--option",
            f"give each judge its own: --judge '{found[0].name}: {json.dumps(beside)}'",
        )
    found = [JudgeSpec(one.name, {**one.options, **beside}) for one in found]
    titles = [one.title for one in found]
    if twice := sorted({title for title in titles if titles.count(title) > 1}):
        raise RecipeError(f"the judge {twice[0]} is named twice", "--judge", "name it once")
    return found


def _named(spec: str) -> JudgeSpec:
    said = parse_value(spec, f"--judge {spec}")
    if isinstance(said, str):
        return JudgeSpec(said)
    if isinstance(said, dict) and len(said) == 1:
        ((name, options),) = said.items()
        if isinstance(name, str) and isinstance(options, dict | None):
            return JudgeSpec(name, options or {})
    raise RecipeError(f"is no judge: {spec!r}", "--judge", _FIX)


_FIX = "say NAME, or 'NAME: {option: value}'"


def _pair(option: str) -> tuple[str, Any]:
    key, sign, value = option.partition("=")
    if not sign or not key.strip():
        raise RecipeError(f"is no option: {option!r}", "--option", "say KEY=VALUE")
    return key.strip(), parse_value(value, f"--option {option}")


def _from_json(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        options = json.loads(text)
    except ValueError as error:
        raise RecipeError(f"is not JSON: {error}", "--options-json") from error
    if not isinstance(options, dict):
        raise RecipeError(f"is a {type(options).__name__}, not an object", "--options-json", '{"option": "value"}')
    return options
