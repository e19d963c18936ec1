"""`lrmctl demo`: the study of the tiny LRM that lrmctl ships."""

from __future__ import annotations

from lrmctl.cli.common import RUNS, Name, RunsDir, Sets, command_line, load
from lrmctl.cli.study import RebuildBase, run


def demo(sets: Sets = None, name: Name = None, runs_dir: RunsDir = RUNS, rebuild_base: RebuildBase = False) -> None:
    """The tiny study, on CPU: base, SFT, RL and controls, trained, evaluated, reported."""
    loaded = load("demo", sets, "study")
    words = ["demo", *(["--name", name] if name else []), *(["--rebuild-base"] if rebuild_base else [])]
    run(loaded, command_line(*words, sets=sets, runs_dir=runs_dir), runs_dir, name, rebuild_base)
