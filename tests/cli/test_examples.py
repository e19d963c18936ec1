"""The help of every command ends with examples that the command line accepts."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from every_command import commands, parser

from lrmctl.cli.examples import broken
from lrmctl.hooks import registry
from lrmctl.recipe.find import find_recipe

GROUP_OF = {"judge": "judge", "judges": "judge", "use": "reward", "lexicon": "lexicon"}
RECIPES = ("recipe", "recipes", "against")


@pytest.mark.parametrize("name", commands())
def test_every_command_has_examples_that_parse(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRMCTL_RUNS_HERE", "")  # set by parsing --runs-dir
    command = commands()[name]
    assert 1 <= len(command.examples) <= 3
    for example in command.examples:
        words = shlex.split(example)
        assert words[:1] == ["lrmctl"]
        found, given = _parsed(words[1:])
        assert found is command, example
        _check_names(given)


def _parsed(words: list[str]) -> tuple[Any, dict[str, Any]]:
    """The command of these words, and its parameters; raises a usage error."""
    command, path = parser(), []
    while hasattr(command, "commands"):
        path.append(words.pop(0))
        command = command.commands[path[-1]]
    return commands()[" ".join(path)], command.make_context(" ".join(path), words).params


def _check_names(given: dict[str, Any]) -> None:
    """Names that ship with lrmctl exist."""
    for key in RECIPES:
        value = given.get(key)
        for ref in value if isinstance(value, (list, tuple)) else [value]:
            if ref and not ref.endswith(".yaml"):
                find_recipe(ref, on=given.get("on"))
    for key, group in GROUP_OF.items():
        value = given.get(key)
        for name in value if isinstance(value, (list, tuple)) else [value]:
            if name:
                registry.find(group, name)


@pytest.mark.parametrize("columns", ["40", "80", "200"])
def test_help_ends_with_examples_that_can_be_copied_at_any_width(
    columns: str, lrmctl: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    shown = lrmctl("train", "--help").out
    before, _, examples = shown.rpartition("\nExamples:\n")
    assert "--dry-run" in before
    assert all(len(line) <= max(50, min(int(columns), 80)) for line in examples.splitlines())
    joined = [" ".join(line.split()) for line in examples.replace("\\\n", "").splitlines() if line.strip()]
    assert joined == commands()["train"].examples
    assert "Examples" not in lrmctl("--help").out


def test_a_long_example_is_broken_between_words_and_never_within_quotes() -> None:
    lines = broken("lrmctl traces rl --where 'thinking=unsafe and answer=safe' --full", 50)
    assert lines == ["lrmctl traces rl \\", "    --where 'thinking=unsafe and answer=safe' \\", "    --full"]
    assert broken("lrmctl demo", 40) == ["lrmctl demo"]
