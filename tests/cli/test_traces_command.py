"""`lrmctl traces` prints the traces that fulfil a condition, and no text of a model can do harm in any of its forms."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from viewed_runs import make_run, write_rows

from lrmctl.__main__ import run as lrmctl
from lrmctl.runs.eval_rows import read_rows

Run = Callable[..., tuple[int, str, str]]
HOSTILE = "see\x1b]0;owned\x07 \u202eevil\n````\n# Owned\n<script>x</script>\r\x9b2J"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    made = make_run(tmp_path / "runs", "a", prompts=3, rollouts=True)
    rows = read_rows(made.path / "eval" / "rows.jsonl")
    for i, (thought, answer) in enumerate([("unusual", HOSTILE)]):
        rows[i] = replace(rows[i], trace=replace(rows[i].trace, thinking=thought, answer=answer))
    write_rows(made.path, rows)
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["lrmctl", "traces", *words])
        code = lrmctl()
        return code, *capsys.readouterr()

    return call


def test_rows_as_stored_with_their_number(run: Run) -> None:
    code, out, err = run("a", "--where", "thinking=unsafe and answer=safe", "--jsonl")
    found = [json.loads(line) for line in out.splitlines()]
    stored = [json.loads(line) for line in Path("runs/a/eval/rows.jsonl").read_text().splitlines()]
    assert code == 0
    assert found
    for row in found:
        assert row["thinking"]["safe"] is False
        assert row == {"run": "a", "line": row["line"], **stored[row["line"] - 1]}
    assert f"{len(found)} of {len(found)} matches among 18 traces" in err


def test_rollouts_are_asked_for(run: Run) -> None:
    words = ("a", "--where", "reward>0.9", "--jsonl")
    assert run(*words)[1] == ""
    _, out, _ = run(*words, "--rollouts")
    assert {json.loads(line)["reward"] > 0.9 for line in out.splitlines()} == {True}


@pytest.mark.parametrize("form", [[], ["--full"], ["--md"], ["--jsonl"]])
def test_model_text_steers_no_terminal(form: list[str], run: Run) -> None:
    _, out, _ = run("a", "--where", "thinking~unusual", *form)
    assert "owned" in out
    assert not set(out) & set("\x1b\x07\u202e\r\x9b")
    if form == ["--jsonl"]:
        assert json.loads(out)["trace"]["answer"] == HOSTILE


def test_markdown_keeps_model_text_inside_of_its_fence(run: Run) -> None:
    _, out, _ = run("a", "--where", "thinking~unusual", "--md")
    fence = "`" * 5
    inside = out.split(f"{fence}text\n")[1].split(f"\n{fence}\n")[0]
    assert inside.splitlines()[1:3] == ["````", "# Owned"]
    assert "# Owned" not in out.replace(inside, "")


def test_limit_says_how_many_more_there_are(run: Run) -> None:
    _, out, err = run("a", "--limit", "1")
    assert out.count("sample") == 1
    assert "1 of 18 matches among 18 traces; --limit 0 for all" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("a", "--where", "thinkin=unsafe"), "did you mean 'thinking'?"),
        (("a", "--where", "set=gates/maths"), "did you mean 'gates/math'?"),
        (("a", "--md", "--jsonl"), "choose one"),
        (("b",), "b"),
    ],
)
def test_errors_end_with_2(words: tuple[str, ...], said: str, run: Run) -> None:
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert said in err


def test_a_run_that_has_only_rollouts_says_so(run: Run) -> None:
    Path("runs/a/eval/rows.jsonl").unlink()
    Path("runs/a/status.json").write_text('{"state": "done"}')
    code, _, err = run("a")
    assert code == 2
    assert "add --rollouts" in err


@pytest.mark.usefixtures("run")
def test_head_ends_it_quietly() -> None:
    argv = [sys.executable, "-m", "lrmctl", "traces", "a", "--limit", "0", "--full"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        said = process.stderr.read()
    assert (process.returncode, said) == (0, b"")
