"""`lrmctl demo`: the study of the tiny LRM that lrmctl ships."""

from __future__ import annotations

from lrmctl.cli.commands.study import RebuildBase, run
from lrmctl.cli.common import RUNS, Name, RunsDir, Sets, command_line, load


def demo(sets: Sets = None, name: Name = None, runs_dir: RunsDir = RUNS, rebuild_base: RebuildBase = False) -> None:
    """Run the study of the tiny model, on CPU.

    Base, SFT, RL and controls: trained, evaluated, reported. Prints the report's path.

    Examples:
        lrmctl demo
        lrmctl demo --name first --runs-dir /tmp/runs
    """
    loaded = load("demo", sets, "study")
    words = ["demo", *(["--name", name] if name else []), *(["--rebuild-base"] if rebuild_base else [])]
    run(loaded, command_line(*words, sets=sets, runs_dir=runs_dir), runs_dir, name, rebuild_base)
