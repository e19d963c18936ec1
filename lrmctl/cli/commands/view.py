"""`lrmctl view`: traces and rollouts in a browser, served to this machine only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lrmctl.cli import completion
from lrmctl.cli.common import RUNS, RunsDir

if TYPE_CHECKING:
    from lrmctl.viewer import ViewedRun


def view(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            autocompletion=completion.runs(studies=True),
            metavar="[RUN|STUDY|FOLDER]...",
            help="What to show; a folder shows its runs. All runs by default.",
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0 takes a free one.")] = 0,
    open_: Annotated[bool, typer.Option("--open/--no-open", help="Open it in the browser.")] = True,
    lexicon: Annotated[
        str,
        typer.Option(
            help="Highlight its words; by default the first lexicon of the analysis.",
            autocompletion=completion.of_registry("lexicon"),
        ),
    ] = "",
    runs_dir: RunsDir = RUNS,
) -> None:
    """Read traces and training rollouts in a browser, until Ctrl-C.

    Running runs are followed. Nothing is written, and only this machine can reach the page.

    Examples:
        lrmctl view
        lrmctl view base rl --lexicon compliance-cues
    """
    from lrmctl import console
    from lrmctl.lexicons import get_lexicon
    from lrmctl.viewer import LiveTraces, TraceServer

    if lexicon:
        get_lexicon(lexicon)
    runs = list(_runs(targets or (), runs_dir))
    _refuse_empty(runs)
    with TraceServer(LiveTraces(runs, lexicon), port=port, title=_title(runs)) as server:
        names = ", ".join(run.label for run in runs[:6]) + (", ..." if len(runs) > 6 else "")
        console.say(f"{names}: read-only, for this machine only; Ctrl-C ends it")
        typer.echo(server.url)
        if open_:
            import webbrowser

            webbrowser.open(server.url)
        server.wait()


def _runs(targets: Sequence[str], runs_dir: Path) -> Iterator[ViewedRun]:
    """The runs named by the targets, without duplicates.

    Raises:
        NotFoundError: a target is neither run nor study nor a folder of runs.
    """
    from lrmctl.errors import NotFoundError
    from lrmctl.runs.listing import all_runs
    from lrmctl.viewer import ViewedRun

    seen = set[Path]()
    for target in targets or [""]:
        folder = Path(target) if target else runs_dir
        inside = all_runs(folder) if not target or _holds_runs(folder) else []
        found = [ViewedRun(path.relative_to(folder).as_posix(), path) for path in inside]
        if not target and not found:
            raise NotFoundError(f"there are no runs in {runs_dir}", fix="train or evaluate one, or name a folder")
        for run in found or _named(target, runs_dir):
            if run.path.resolve() not in seen:
                seen.add(run.path.resolve())
                yield run


def _named(target: str, runs_dir: Path) -> list[ViewedRun]:
    from lrmctl.api.side_by_side import arms_of
    from lrmctl.viewer import ViewedRun

    return [ViewedRun(arm.label, arm.path) for arm in arms_of(target, runs_dir)]


def _holds_runs(folder: Path) -> bool:
    """Whether this is a folder of runs, but neither a run nor a study itself."""
    from lrmctl.runs.listing import all_runs, is_run

    return folder.is_dir() and not is_run(folder) and not (folder / "study.json").exists() and bool(all_runs(folder))


def _refuse_empty(runs: Sequence[ViewedRun]) -> None:
    """Refuse to serve a page that would stay empty; that of a run that has just started fills up.

    Raises:
        NotFoundError: no run has rows or rollouts, and none is running.
    """
    from lrmctl import console
    from lrmctl.errors import NotFoundError
    from lrmctl.runs.folder import RunFolder

    empty = [
        run for run in runs if not any((run.path / file).is_file() for file in ("eval/rows.jsonl", "rollouts.jsonl"))
    ]
    waiting = [run for run in empty if RunFolder(run.path).status().get("state") == "running"]
    if len(empty) == len(runs) and not waiting:
        what = f"{runs[0].label} has" if len(runs) == 1 else f"the {len(runs)} runs have"
        raise NotFoundError(
            f"{what} neither evaluated rows nor rollouts",
            str(runs[0].path),
            "run `lrmctl eval` first; rollouts appear with the first step of an RL run",
        )
    if empty:
        names = ", ".join(run.label for run in empty)
        console.say(f"neither evaluated rows nor rollouts yet: {names}; they are shown as soon as there are some")


def _title(runs: Sequence[ViewedRun]) -> str:
    return f"{runs[0].label} \N{EN DASH} lrmctl view" if len(runs) == 1 else f"{len(runs)} runs \N{EN DASH} lrmctl view"
