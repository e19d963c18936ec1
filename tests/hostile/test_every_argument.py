"""Every command, each of its words in turn as bad as words get: a documented exit code and one short error, no more.

The commands and their parameters are asked of the parser, so that new ones are tried too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

Lrmctl = Callable[..., Any]
COMMANDS: Mapping[str, Mapping[str, str]] = {
    "demo": {},
    "train": {"recipe": "lab/rl", "--dry-run": ""},
    "eval": {"target": "lab:tiny", "--recipe": "lab/eval", "--name": "a"},  # a has another evaluation
    "analyze": {"target": "a"},
    "compare": {"runs": "b", "": "a"},
    "export": {"target": "a", "--to": "lm-eval"},
    "monitor": {"target": "rollouts.jsonl"},
    "report": {"targets": "a"},
    "study": {"recipe": "demo"},
    "doctor": {},
    "recipe list": {},
    "recipe show": {"recipe": "lab/rl"},
    "recipe copy": {"recipe": "lab/rl"},
    "recipe validate": {"recipes": "lab/rl"},
    "recipe diff": {"a": "lab/rl", "b": "lab/rl"},
    "recipe ci": {},
    "plugin list": {},
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
    "benchmark list": {},
    "benchmark show": {"name": "lab-harmful"},
    "model tiny": {"out": "rows.jsonl"},
    "model gate": {"path": "nothing"},
    "model widen": {"source": "nothing", "out": "new"},
    "run list": {},
    "run show": {"run": "a"},
    "run logs": {"run": "a"},
    "run rm": {"run": "nothing", "--yes": ""},
}
"""Words that each command gets on without an error, or with one that comes late."""
NO_PATH = {
    "text": "text", "below a file": "rows.jsonl/below", "too long": "x" * 5000, "long part": "x" * 300,
    "zero byte": "a\0b", "loop": "loop", "pipe": "pipe.jsonl", "device": "/dev/full",
}  # fmt: skip
"""What cannot be made a folder, whoever asks."""
TEXTS = {"empty": "", "zero byte": "a\0b", "surrogate": "\udcff", "too long": "x" * 5000}
PAIRS = {**TEXTS, "equals": "=", "pair": "a=b", "open": "{a: [}", "list": "[]"}
REFERENCES = {
    **NO_PATH, **TEXTS,
    "nothing there": "nothing/here", "folder": "folder", "read-only": "locked/x", "damaged": "damaged.json",
    "damaged rows": "damaged.jsonl", "damaged recipe": "damaged.yaml", "empty file": "empty.jsonl",
    "binary": "binary.jsonl", "nested": "nested.jsonl", "elsewhere": "run:../x", "no run": "run:nothing",
    "nobody's home": "~nobody-of-this-name/x", "number": "1",
}  # fmt: skip
ONLY_TEXT = (
    "--address", "--title", "--host", "--reached-as", "--token-env", "--end-token", "--pair-by", "--where", "--score",
    "--positive", "--part", "--allow", "--only",
)  # fmt: skip
"""Names of nothing that lies anywhere."""
NAMES = ("--name", "--variant")  # see test_names.py
STARTS = {("demo", "--runs-dir"), ("study", "--runs-dir"), ("train", "--runs-dir"), ("eval", "--runs-dir"),
          ("train", "--out"),          ("model tiny", "out"), ("model widen", "out"),
          ("reward serve", "--rollouts")}  # fmt: skip
"""Where hours of work begin, or at least seconds, if a path will do."""


@cache
def _parser() -> Any:
    import typer

    from lrmctl.cli.app import app

    return typer.main.get_command(app)


def _commands() -> dict[str, Any]:
    """Every command by its words, as the parser knows it."""

    def walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        for name, below in getattr(command, "commands", {}).items():
            yield from walk(below, (*words, name))
        if not hasattr(command, "commands"):
            yield " ".join(words), command

    return dict(walk(_parser(), ()))


def _parameters(command: Any) -> dict[str, Any]:
    """The parameters of a command that take a text or a path, and what each takes."""
    kinds = {p.opts[0]: getattr(getattr(p, "type_descriptor", None), "annotation", bool) for p in command.params}
    return {name: kind for name, kind in kinds.items() if kind in (str, Path, list[str]) and name not in NAMES}


def _bad(name: str, parameter: str, takes: Any, place: int) -> Mapping[str, str]:
    """What a parameter is tried with: the command's first with everything, those after it with a third, in turn."""
    if parameter in ONLY_TEXT:
        bad = TEXTS
    elif (name, parameter) in STARTS:
        bad = NO_PATH
    else:
        bad = PAIRS if takes == list[str] and parameter.startswith("--") else REFERENCES
    return dict(list(bad.items())[place % 3 :: 3]) if place else bad


@pytest.fixture
def place(runs: Path, tmp_path: Path) -> Path:
    """A working folder with runs, good files and all sorts of bad ones."""
    (tmp_path / "rows.jsonl").write_bytes((runs / "a" / "eval" / "rows.jsonl").read_bytes())
    rows = [
        {"prompt": f"p{i}", "response": "x" * n, "label": label}
        for i in range(4)
        for n, label in ((5, "disallowed_completion"), (50, "ideal"))
    ]
    (tmp_path / "labelled.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "rollouts.jsonl").write_text("")
    (tmp_path / "text").write_text("years of work")
    (tmp_path / "folder").mkdir()
    for end in ("json", "jsonl", "yaml"):
        (tmp_path / f"damaged.{end}").write_text('{"a": [1\n')
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "binary.jsonl").write_bytes(bytes(range(256)))
    (tmp_path / "nested.jsonl").write_text("[" * 2000 + "\n")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "locked").mkdir(mode=0o555)
    return tmp_path


def test_every_command_has_words() -> None:
    assert sorted(_commands()) == sorted(COMMANDS)


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("name", [name for name, command in _commands().items() if _parameters(command)])
def test_every_word_may_be_bad(lrmctl: Lrmctl, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("lrmctl.cli.app.app", _parser())  # the same parser, built once and not for each line
    complaints = []
    for place, (parameter, takes) in enumerate(_parameters(_commands()[name]).items()):
        for kind, value in _bad(name, parameter, takes, place).items():
            said = lrmctl(*_words(name, {**COMMANDS[name], parameter: value}))
            if wrong := _wrong(said):
                complaints.append(f"{parameter} {kind}: {wrong}, exit code {said.code}: {said.err[:300]}")
    assert not complaints, "\n".join(complaints)


def _words(name: str, given: Mapping[str, str]) -> list[str]:
    options = [f"{key}={value}" for key, value in given.items() if key.startswith("--")]
    switches = [f"{key}=" for key in ("--dry-run", "--force", "--yes")]
    arguments = [value for key, value in given.items() if not key.startswith("--")]
    return [*name.split(), *(o.rstrip("=") if o in switches else o for o in options), "--", *arguments]


def _wrong(said: Any) -> str:
    """What is wrong with an answer; empty if it is as it should be."""
    errors = [line for line in said.err.splitlines() if line.lower().startswith("error:")]
    if not said.is_an_answer:
        return "no answer"
    if said.code in (2, 3) and len(errors) != 1:
        return f"{len(errors)} errors"
    if "\0" in said.err or len(said.err) > 2500:
        return "no short error"
    return ""
