"""Every command, each of its words in turn as bad as words get: a documented exit code and one short error, no more.

The commands and their parameters are asked of the parser, so that new ones are tried too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from every_command import COMMANDS, commands, parser, words_of

Lrmctl = Callable[..., Any]
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
          ("reward serve", "--rollouts"), ("view", "targets"), ("report", "--figures")}  # fmt: skip
"""Where hours of work begin, or at least seconds, if a path will do."""


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


def test_every_command_haswords_of() -> None:
    assert sorted(commands()) == sorted(COMMANDS)


@pytest.mark.e2e
@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("name", [name for name, command in commands().items() if _parameters(command)])
def test_every_word_may_be_bad(lrmctl: Lrmctl, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("lrmctl.cli.app.app", parser())  # the same parser, built once and not for each line
    complaints = []
    for place, (parameter, takes) in enumerate(_parameters(commands()[name]).items()):
        for kind, value in _bad(name, parameter, takes, place).items():
            said = lrmctl(*words_of(name, {**COMMANDS[name], parameter: value}))
            if wrong := _wrong(said):
                complaints.append(f"{parameter} {kind}: {wrong}, exit code {said.code}: {said.err[:300]}")
    assert not complaints, "\n".join(complaints)


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
