"""Shells complete what commands take: by the protocol of their scripts, and in bash, zsh and fish themselves."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from every_command import commands

from lrmctl.hooks import registry
from lrmctl.hooks.isolation import TIMEOUT_VARIABLE
from lrmctl.recipe.find import shipped

Complete = Callable[[str], list[str]]
WAIT_S = 60
NOT_NEEDED = {"torch", "transformers", "numpy", "yaml", "rich", "httpx", "jinja2"}


@pytest.fixture
def complete(lrmctl: Callable[..., object], monkeypatch: pytest.MonkeyPatch) -> Complete:
    """What bash is told for a command line; words as bash splits them, joined by one space."""

    def call(line: str) -> list[str]:
        words = line.split(" ")
        monkeypatch.setenv("_LRMCTL_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", "\n".join(words))
        monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
        monkeypatch.setenv(TIMEOUT_VARIABLE, "1")
        result = lrmctl()
        assert (result.code, result.err) == (0, "")
        return [line for line in result.out.splitlines() if line]

    return call


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Three runs, one of them an arm of a study, one with an evaluation beside its own."""
    for name in ("rl-a", "rl-b", "study/sft", "rl-a/eval-greedy"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    for name in ("rl-a/status.json", "rl-b/status.json", "study/study.json", "study/sft/status.json"):
        (tmp_path / "runs" / name).write_text("{}")
    (tmp_path / "runs/rl-a/eval-greedy/summary.json").write_text("{}")
    return tmp_path / "runs"


def test_recipes_are_those_that_the_command_takes(complete: Complete) -> None:
    studies = complete("lrmctl study ")
    assert {"demo", "lab/studies/families", "studies/smollm2"} <= set(studies) <= set(shipped())
    assert not {"lab/rl", "lab/eval"} & set(studies)
    assert "lab/rl" in complete("lrmctl train lab/")
    assert "lab/eval" not in complete("lrmctl train lab/")
    assert complete("lrmctl data build lab/data/se") == ["lab/data/select"]
    assert complete("lrmctl eval lab:tiny --recipe eval/safety-q") == ["eval/safety-quick", "eval/safety-qwen3"]


def test_a_method_is_completed_for_a_model_and_a_model_for_a_method(complete: Complete) -> None:
    assert complete("lrmctl train --on qwen3-8b rl-g") == ["rl-guard", "rl-guard-dapo"]
    assert complete("lrmctl train rl-guard --on qwen3") == ["qwen3-4b", "qwen3-8b"]
    assert complete("lrmctl train rl-guard --on = qwen3-8") == ["qwen3-8b"]


def test_files_of_recipes_are_completed_beside_shipped_names(complete: Complete, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for name in ("mine.yaml", "mine/rl.yml", "mine/notes.txt", ".mine.yaml"):
        (tmp_path / name).write_text("")
    assert complete("lrmctl recipe validate mi") == ["mine/rl.yml", "mine.yaml"]
    assert complete("lrmctl recipe validate mine/") == ["mine/rl.yml"]
    assert complete("lrmctl recipe validate ./mine/r") == ["./mine/rl.yml"]


def test_runs_are_completed_in_the_form_that_the_argument_takes(complete: Complete, runs: Path, tmp_path: Path) -> None:
    assert complete("lrmctl run show ") == ["rl-a", "rl-b", "study/sft"]
    assert complete("lrmctl report st") == ["study", "study/sft"]
    assert complete("lrmctl compare rl-a@") == ["rl-a@greedy"]
    runs.rename(tmp_path / "elsewhere")
    assert complete("lrmctl compare --runs-dir elsewhere rl") == ["rl-a", "rl-b"]


@pytest.mark.usefixtures("runs")
def test_bash_splits_words_at_colons_and_is_answered_without_what_it_has(complete: Complete) -> None:
    assert complete("lrmctl eval run : rl-") == ["rl-a", "rl-b"]
    assert complete("lrmctl eval run :") == ["rl-a", "rl-b", "study/sft"]
    assert complete("lrmctl eval --training = run : rl-b") == ["rl-b"]
    assert complete("lrmctl eval la") == ["lab:tiny"]


@pytest.mark.parametrize(
    ("line", "group"),
    [
        ("lrmctl judge show ", "judge"),
        ("lrmctl judge measure rbr-gold --judge ", "judge"),
        ("lrmctl monitor a --judge ", "judge"),
        ("lrmctl reward test ", "reward"),
        ("lrmctl data pairs rows.jsonl --use ", "reward"),
        ("lrmctl benchmark show ", "benchmark"),
        ("lrmctl view --lexicon ", "lexicon"),
        ("lrmctl train x --launch ", "launcher"),
    ],
)
def test_names_are_those_of_the_registry(complete: Complete, line: str, group: str) -> None:
    assert complete(line) == [entry.name for entry in registry.names(group)]


def test_fixed_words_are_completed(complete: Complete) -> None:
    assert complete("lrmctl plugin list doc") == ["doctor-check"]
    assert complete("lrmctl compare a b --allow sam") == ["samples", "sampling"]
    assert complete("lrmctl compare a b --metric joint_s") == ["joint_safe"]
    assert complete("lrmctl monitor a --only length") == ["length-drift"]
    assert complete("lrmctl --version") == ["--version"]


def test_every_command_answers_before_each_of_its_arguments(complete: Complete) -> None:
    for name in commands():
        assert "--help" in complete(f"lrmctl {name} --he")
        complete(f"lrmctl {name} ")


def test_an_error_completes_to_nothing(complete: Complete, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRMCTL_PLUGINS", "no-such-plugin")
    assert complete("lrmctl judge show no-such") == []
    assert complete("lrmctl run show 'unclosed") == []
    (tmp_path / "runs").write_text("a file")
    assert complete("lrmctl run show ") == []


def test_completing_imports_only_what_listing_needs() -> None:
    env = {"_LRMCTL_COMPLETE": "complete_bash", "COMP_WORDS": "lrmctl\ntrain\nlab/", "COMP_CWORD": "2"}
    argv = [sys.executable, "-X", "importtime", "-m", "lrmctl"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env={**os.environ, **env})
    assert "lab/rl" in done.stdout.splitlines()
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    modules = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}
    assert modules & NOT_NEEDED == set()


class Terminal:
    """A shell in a terminal of its own, in which keys are pressed."""

    def __init__(self, argv: list[str], cwd: Path, env: dict[str, str]) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.execvpe(argv[0], argv, env)

    def press(self, keys: str, until: str) -> bool:
        """Press keys; whether this text appears."""
        os.write(self.fd, keys.encode())
        shown = ""
        while until not in shown:
            if not select.select([self.fd], [], [], WAIT_S)[0]:
                return False
            shown += os.read(self.fd, 65536).decode(errors="replace")
        return True

    def close(self) -> None:
        os.close(self.fd)
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)


@pytest.fixture
def path(tmp_path: Path) -> dict[str, str]:
    """An environment in which `lrmctl` is this Python's, with a home of its own."""
    command = tmp_path / "bin/lrmctl"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lrmctl "$@"\n')
    command.chmod(0o755)
    where = f"{command.parent}{os.pathsep}{os.environ['PATH']}"
    source = str(Path(__file__).parents[2])
    return {
        "PATH": where,
        "PYTHONPATH": source,
        "HOME": str(tmp_path),
        "PS1": "$ ",
        "TERM": "dumb",
        "LC_ALL": "C.UTF-8",
    }


INSTALL = {
    "bash": (["bash", "--norc", "-i"], "source <(lrmctl --show-completion); echo rea''dy\n"),
    "zsh": (
        ["zsh", "-f", "-i"],
        'autoload -Uz compinit; compinit -u; eval "$(lrmctl --show-completion)"; echo rea""dy\n',
    ),
}


@pytest.fixture(params=INSTALL)
def shell(request: pytest.FixtureRequest, path: dict[str, str], tmp_path: Path) -> Iterator[Terminal]:
    argv, install = INSTALL[request.param]
    if shutil.which(argv[0]) is None:
        pytest.skip(f"needs {argv[0]}")
    terminal = Terminal(argv, tmp_path, path)
    assert terminal.press(install, "ready\r\n")
    yield terminal
    terminal.close()


@pytest.mark.usefixtures("runs")
def test_a_shell_completes_when_tab_is_pressed(shell: Terminal) -> None:
    assert shell.press("lrmctl recipe val\t", "validate ")
    assert shell.press("\x15lrmctl eval run:st\t", "run:study/sft ")


@pytest.mark.usefixtures("runs")
def test_fish_completes(path: dict[str, str], tmp_path: Path) -> None:
    if shutil.which("fish") is None:
        pytest.skip("needs fish")
    script = "_LRMCTL_COMPLETE=source_fish lrmctl | source; complete -C 'lrmctl eval run:st'"
    done = subprocess.run(["fish", "--no-config", "-c", script], env=path, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["run:study/sft"]
