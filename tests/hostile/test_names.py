"""Names on the command line are names of one folder inside the runs folder, as the recipe's `name:` is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrmctl.errors import RecipeError
from lrmctl.runs.folder import RunFolder

Lrmctl = Callable[..., Any]
NO_NAMES = [
    "../x", "/tmp/lrmctl-x", ".", "..", "", " ", "a b", "a/b", "x" * 65, "x" * 300, "a\n", "\x1b[31mred", ".x", "-x",
    "a\\b", "ä", "a\0b", "a:b", "a@b", "~", "$(id)", "\u202e", "\ud800", "a\tb",
]  # fmt: skip


@pytest.mark.parametrize("name", NO_NAMES)
@pytest.mark.parametrize(
    "command",
    [
        ("train", "lab/rl", "--dry-run", "--name"),
        ("train", "lab/rl", "--name"),
        ("eval", "lab:tiny", "--name"),
        ("eval", "lab:tiny", "--name", "a", "--variant"),
        ("study", "demo", "--name"),
        ("demo", "--name"),
    ],
)
def test_what_is_no_name_is_refused_and_writes_nothing(
    lrmctl: Lrmctl, tmp_path: Path, name: str, command: tuple[str, ...]
) -> None:
    if (name, command[-1]) == ("", "--variant"):
        pytest.skip("no variant: the run's own evaluation")
    said = lrmctl(*command, f"{name}") if not name.startswith("-") else lrmctl(*command[:-1], f"{command[-1]}={name}")
    assert said.code == 2
    assert command[-1] in said.err
    assert "\x1b" not in said.err
    assert "\u202e" not in said.err
    assert len(said.err) < 500
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", NO_NAMES)
def test_a_run_folder_is_never_made_outside_the_runs_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecipeError):
        RunFolder.create(tmp_path / "runs", name)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("ref", ["run:../m", "run:", "run:.", "run:/tmp", "run:a/../../m", "run:" + "x" * 3000])
@pytest.mark.parametrize(
    "command",
    [
        ("train", "lab/rl", "--dry-run", "--model"), ("eval",), ("compare", "a"), ("analyze",), ("report",),
        ("run", "show"), ("view", "--no-open"),
        ("export", "--to", "hf"), ("monitor",), ("reward", "score", "--use", "format"), ("recipe", "diff", "lab/rl"),
        ("run", "logs"), ("eval", "lab:tiny", "--training"),
    ],
)  # fmt: skip
def test_a_reference_to_a_run_does_not_leave_the_runs_folder(
    lrmctl: Lrmctl, tmp_path: Path, ref: str, command: tuple[str, ...]
) -> None:
    RunFolder.create(tmp_path, "m").set_status("done")
    (tmp_path / "runs").mkdir()
    said = lrmctl(*command, ref)
    assert said.code == 2, said.err
    assert said.is_an_answer
