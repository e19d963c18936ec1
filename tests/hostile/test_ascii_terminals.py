"""Terminals and pipes that take ASCII only: every command answers, and what cannot be shown is shown as its escape.

Texts of models, recipes and logs hold emoji, characters that turn the direction, and half a character.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from every_command import COMMANDS, commands, parser, words_of

pytestmark = pytest.mark.e2e

ODD = "😀 \u202e\u2066 שלום é \x85"
HALF = f"{ODD} \ud800"
Ascii = Callable[..., tuple[int, str]]
NO_START = {"--runs-dir": "text"}
"""What keeps hours of work from beginning."""
MORE = [
    ("eval", "run:a", "--rejudge", "--recipe", "demo"),
    ("compare", "a", "a", "--json"),
    ("export", "a", "--to", "hf", "--out", "hf"),
    ("recipe", "list", "--json"),
    ("recipe", "show", "é.yaml"),
    ("recipe", "show", "é.yaml", "--json"),
    ("recipe", "diff", "é.yaml", "lab/rl"),
    ("recipe", "validate", "bad-é.yaml"),
    ("train", "é.yaml", "--dry-run"),
    ("train", "é.yaml", "--dry-run", "--json"),
    ("judge", "score", "rows.jsonl", "--judge", "refusal-phrases", "--part", "thinking"),
    ("judge", "show", "qwen3guard"),
    ("judge", "show", ODD),
    ("report", "a", "--title", HALF),
    ("run", "show", "a", "--json"),
    ("run", "show", HALF),
    ("doctor", "--json"),
    (HALF,),
    ("train", "--ä"),
]


class _Bytes(io.BytesIO):
    """A stream that is a terminal or none."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.fixture
def odd(place: Path, runs: Path) -> Path:
    """The working folder of `place`, its texts as odd as texts get."""
    for folder in ("a", "b"):
        file = runs / folder / "eval" / "rows.jsonl"
        rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
        for row in rows:
            row["trace"]["thinking"] += HALF
            row["trace"]["answer"] += HALF
            row["trace"]["prompt"]["messages"][0]["content"] += ODD
            for verdict in filter(None, (row["thinking"], row["answer"])):
                verdict |= {"raw": HALF, "labels": [HALF]}
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        summary = json.loads((runs / folder / "eval" / "summary.json").read_text("utf-8"))
        (runs / folder / "eval" / "summary.json").write_text(json.dumps({**summary, "label": ODD, "warnings": [ODD]}))
        (runs / folder / "logs" / "attempt-1" / "output.log").write_bytes(HALF.encode("utf-8", "surrogatepass"))
    whole = [{"prompt": f"p{i} {ODD}", "response": f"<think>t {ODD}</think>r {ODD}"} for i in range(4)]
    (place / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in whole))
    rollouts = [{**row, "reward": i % 3 / 2, "step": i} for i, row in enumerate(whole * 32)]
    (place / "rollouts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rollouts))
    (place / "é.yaml").write_text("extends: lab/rl\nname: odd\ndescription: 'é😀 שלום'\n", encoding="utf-8")
    (place / "bad-é.yaml").write_text("extends: lab/rl\nnäme: 'é😀'\n", encoding="utf-8")
    return place


@pytest.fixture
def ascii_only(monkeypatch: pytest.MonkeyPatch, odd: Path) -> Ascii:
    """The command line in this process, where both streams have bytes for ASCII only: exit code and all output."""
    monkeypatch.chdir(odd)
    monkeypatch.setattr("lrmctl.cli.app.app", parser())
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")

    def call(*words: str, terminal: bool = False) -> tuple[int, str]:
        from lrmctl.__main__ import run

        written = [io.TextIOWrapper(_Bytes(terminal), "ascii", write_through=True) for _ in range(2)]
        with monkeypatch.context() as patched:
            patched.setattr(sys, "argv", ["lrmctl", *words])
            for name, stream in zip(("stdout", "stderr"), written, strict=True):
                patched.setattr(sys, name, stream)
            code = run()
            sys.stdout.flush()
        return code, b"\n".join(stream.buffer.getvalue() for stream in written).decode("utf-8", "replace")

    return call


def _failed(code: int, said: str) -> bool:
    return code not in (0, 1, 2, 3) or "bug in lrmctl" in said or "UnicodeEncodeError" in said


@pytest.mark.parametrize("terminal", [False, True], ids=["pipe", "dumb terminal"])
def test_every_command_and_its_help_print_in_ascii(ascii_only: Ascii, terminal: bool) -> None:
    failed = []
    for name in commands():
        given = {**COMMANDS[name], **(NO_START if name in ("demo", "study") else {})}
        for words in (words_of(name, given), [*name.split(), "--help"]):
            code, said = ascii_only(*words, terminal=terminal)
            if _failed(code, said):
                failed.append(f"{' '.join(words)}: {code}: {said[-500:]}")
    assert not failed, "\n".join(failed)


@pytest.mark.parametrize("words", MORE, ids=lambda words: ascii(" ".join(words)))
def test_text_that_ascii_lacks_is_no_reason_to_fail(ascii_only: Ascii, words: tuple[str, ...]) -> None:
    code, said = ascii_only(*words)
    assert not _failed(code, said), said


def test_what_cannot_be_shown_is_shown_as_its_escape(ascii_only: Ascii) -> None:
    assert "\\U0001F600" in ascii_only("recipe", "show", "é.yaml")[1]  # as YAML writes it, so that it reads back
    assert "\\xe4me" in ascii_only("recipe", "validate", "bad-é.yaml")[1]


@pytest.mark.e2e
def test_files_are_read_and_written_as_utf_8_whatever_the_locale(odd: Path) -> None:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG", "PYTHONUTF8", "PYTHONIO"))}
    env |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    lines = [
        ["recipe", "show", "é.yaml"],
        ["train", "é.yaml", "--dry-run", "--out", "plan-é.json"],
        ["judge", "score", "rows.jsonl", "--judge", "refusal-phrases", "--out", "é.jsonl"],
        ["monitor", "rollouts.jsonl", "--window", "16"],
        ["run", "show", "a"],
        ["run", "logs", "a"],
        ["compare", "a", "b"],
        ["export", "a", "--to", "lm-eval", "--out", "exported-é"],
        ["report", "a", "--out", "é.html"],
    ]
    code = "import os, sys\nfrom lrmctl.__main__ import run\ncodes = []\n"
    code += f"for line in {lines!a}:\n    sys.argv = ['lrmctl', *(os.fsdecode(word.encode()) for word in line)]\n"
    code += "    codes.append(run())\nprint('\\ncodes:', *codes)"
    done = subprocess.run([sys.executable, "-c", code], cwd=odd, env=env, capture_output=True, check=False)
    said = (done.stdout + done.stderr).decode("ascii", "replace")
    assert b"bug in lrmctl" not in done.stderr, said
    codes = done.stdout.decode("ascii").rpartition("codes: ")[2].split()
    assert len(codes) == len(lines), said
    assert set(codes) <= {"0", "1"}, said
    assert json.loads((odd / "plan-é.json").read_text("utf-8"))
    assert any("😀" in file.read_text("utf-8") for file in (odd / "exported-é").iterdir())
    assert "😀" in (odd / "é.html").read_text("utf-8")
