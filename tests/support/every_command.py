"""Every command of lrmctl, asked of the parser so that new ones are tried too, and words that it gets on with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

COMMANDS: Mapping[str, Mapping[str, str]] = {
    "demo": {},
    "train": {"recipe": "lab/rl", "--dry-run": ""},
    "eval": {"target": "lab:tiny", "--recipe": "lab/eval", "--name": "a"},  # a has another evaluation
    "analyze": {"target": "a"},
    "compare": {"runs": "b", "": "a"},
    "export": {"target": "a", "--to": "lm-eval"},
    "publish": {"target": "a"},
    "monitor": {"target": "rollouts.jsonl"},
    "report": {"targets": "a"},
    "traces": {"target": "a"},
    "view": {"targets": "nothing"},
    "study": {"recipe": "demo"},
    "doctor": {},
    "data build": {"recipe": "lab/data/refuse", "--dry-run": ""},
    "recipe list": {},
    "recipe show": {"recipe": "lab/rl"},
    "recipe copy": {"recipe": "lab/rl"},
    "recipe validate": {"recipes": "lab/rl"},
    "recipe diff": {"a": "lab/rl", "b": "lab/rl"},
    "recipe schema": {},
    "recipe ci": {},
    "plugin list": {},
    "plugin new": {"name": "lrmctl-reward-novelty", "--kind": "reward"},
    "plugin test": {},
    "plugin check": {},
    "reward fit": {"file": "labelled.jsonl", "--rule": "features", "--folds": "2", "--steps": "1", "--force": ""},
    "reward serve": {"recipe": "lab/rl", "--host": "192.0.2.1"},  # no machine's own address
    "reward list": {},
    "reward show": {"name": "format"},
    "reward test": {"name": "format", "--seconds": "0.01"},
    "reward score": {"source": "rows.jsonl", "--use": "format", "--force": ""},
    "judge list": {},
    "judge show": {"name": "lab"},
    "judge score": {"file": "rows.jsonl", "--judge": "lab"},
    "judge measure": {"file": "labelled.jsonl", "--judge": "lab", "--label": "unsafe"},
    "judge agree": {"targets": "a"},
    "judge fit": {
        "rows": "labelled.jsonl",
        "--label": "refused",
        "--labels-from": "label",
        "--positive": "ideal",
        "--folds": "2",
        "--out": "new",
        "--force": "",
    },
    "benchmark list": {},
    "benchmark show": {"name": "lab-harmful"},
    "data pairs": {"source": "rows.jsonl", "--out": "new", "--use": "format", "--force": ""},
    "model import": {"source": "nothing", "out": "new"},
    "model tiny": {"out": "rows.jsonl"},
    "model gate": {"path": "nothing"},
    "model widen": {"source": "nothing", "out": "new"},
    "run list": {},
    "run show": {"run": "a"},
    "run diff": {"a": "a", "b": "a"},
    "run logs": {"run": "a"},
    "run rm": {"run": "nothing", "--yes": ""},
}
"""Words that each command gets on without an error, or with one that comes late."""


@cache
def parser() -> Any:
    import typer

    from lrmctl.cli.app import app

    return typer.main.get_command(app)


def commands() -> dict[str, Any]:
    """Every command by its words, as the parser knows it."""

    def walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        for name, below in getattr(command, "commands", {}).items():
            yield from walk(below, (*words, name))
        if not hasattr(command, "commands"):
            yield " ".join(words), command

    return dict(walk(parser(), ()))


def words_of(name: str, given: Mapping[str, str]) -> list[str]:
    """A command line: options first, then `--` and the arguments."""
    options = [f"{key}={value}" for key, value in given.items() if key.startswith("--")]
    switches = [f"{key}=" for key in ("--dry-run", "--force", "--yes")]
    arguments = [value for key, value in given.items() if not key.startswith("--")]
    return [*name.split(), *(o.rstrip("=") if o in switches else o for o in options), "--", *arguments]
