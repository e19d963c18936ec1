"""`lrmctl run`: existing runs, their logs, and freeing disk space."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lrmctl.cli import completion
from lrmctl.cli.common import RUNS, AsJson, RunsDir

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lrmctl.rewards.offline.variance import VarianceShares
    from lrmctl.runs.folder import RunFolder

app = typer.Typer(help="Training runs on this machine.", no_args_is_help=True)
Run = Annotated[str, typer.Argument(help="run:NAME, its name, or its folder.", autocompletion=completion.runs())]


@app.command("list")
def list_(runs_dir: RunsDir = RUNS, as_json: AsJson = False) -> None:
    """List runs, including the arms of studies.

    Examples:
        lrmctl run list
        lrmctl run list --runs-dir /data/runs --json
    """
    from lrmctl import console
    from lrmctl.runs.folder import RunFolder
    from lrmctl.runs.listing import all_runs
    from lrmctl.runs.overview import run_summary

    runs = [
        {"name": folder.relative_to(runs_dir).as_posix(), "path": folder, **run_summary(RunFolder(folder))}
        for folder in all_runs(runs_dir)
    ]
    if as_json:
        console.emit_json("runs", runs)
        return
    rows = [
        (r["name"], r["state"], _steps(r), _number(r["reward"]), r["updated"], "yes" if r["evaluated"] else "no")
        for r in runs
    ]
    console.table("", ("run", "state", "steps", "reward", "updated", "evaluated"), rows)


@app.command()
def show(
    run: Run,
    everything: Annotated[bool, typer.Option("--all", help="Show every metric of its evaluation.")] = False,
    runs_dir: RunsDir = RUNS,
    as_json: AsJson = False,
) -> None:
    """Show one run: its state, attempts, metrics, checkpoints, disk, evaluation.

    Examples:
        lrmctl run show rl
        lrmctl run show families/rl --all
    """
    from lrmctl import console
    from lrmctl.cli.views.summary import show_summary
    from lrmctl.rewards.offline.variance import shares_of_file
    from lrmctl.runs.overview import run_details

    folder = _folder(run, runs_dir)
    found = {**run_details(folder), "shares": shares_of_file(folder.rollouts)}
    if as_json:
        console.emit_json("run", found)
        return
    console.table(str(found["path"]), ("key", "value"), list(_rows(found)))
    if found["metrics"]:
        last, best = found["metrics"], found["best"] or {}
        rows = [(key, _number(value), _number(best.get(key))) for key, value in last.items() if key != "total"]
        console.table("", ("metric", "last", "best"), rows)
    _show_shares(found["shares"])
    if evaluations := found["evaluations"]:
        columns = list(dict.fromkeys(key for row in evaluations for key in row))
        console.out.print("evaluated while training", markup=False)
        console.table("", columns, [[_number(row.get(c)) for c in columns] for row in evaluations])
    if found["eval"]:
        show_summary(found["eval"], as_json=False, everything=everything)


@app.command()
def diff(
    a: Annotated[
        str, typer.Argument(metavar="A", help="run:NAME, its name, or its folder.", autocompletion=completion.runs())
    ],
    b: Annotated[
        str, typer.Argument(metavar="B", help="The run to compare it with.", autocompletion=completion.runs())
    ],
    runs_dir: RunsDir = RUNS,
    as_json: AsJson = False,
) -> None:
    """Show where two trainings differ: settings, versions, data, models and curves.

    Exit code 1 if settings, versions, data or models differ.

    Examples:
        lrmctl run diff rl-lr-1e-6 rl-lr-3e-6
    """
    from lrmctl import console
    from lrmctl.cli.views import run_diff as view
    from lrmctl.comparison.run_diff import run_diff

    first, second = _folder(a, runs_dir), _folder(b, runs_dir)
    found = run_diff(first.path, second.path)
    if as_json:
        console.emit_json("run-diff", found)
    else:
        view.show(found, a.removeprefix("run:"), b.removeprefix("run:"))
    if not found.same:
        raise typer.Exit(console.FINDINGS)


@app.command()
def logs(
    run: Run,
    attempt: Annotated[int | None, typer.Option(help="Number of the launch; the last one by default.")] = None,
    tail: Annotated[int | None, typer.Option(help="Print only this many last lines.", min=1)] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Follow until the run ends.")] = False,
    runs_dir: RunsDir = RUNS,
) -> None:
    """Print a launch's output; for a failed run, with the root cause at the end.

    Examples:
        lrmctl run logs rl --tail 50
        lrmctl run logs rl --follow
    """
    from collections import deque

    from lrmctl import console
    from lrmctl.errors import NotFoundError
    from lrmctl.runs.overview import lines_of, log_of

    folder = _folder(run, runs_dir)
    log = log_of(folder, attempt)
    if log is None:
        what = f"attempt {attempt}" if attempt else "output"
        raise NotFoundError(f"the run {folder.name!r} has no {what}", str(folder.logs), f"lrmctl run show {run}")
    for line in deque(lines_of(log), maxlen=tail):
        console.out.print(line, markup=False)
    if follow:
        _follow(folder, log)
    if (status := folder.status()).get("error") and log == log_of(folder):
        console.say(f"cause: {status['error']}")


@app.command()
def rm(
    run: Run,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete without asking.")] = False,
    checkpoints_only: Annotated[
        bool, typer.Option("--checkpoints-only", help="Delete only the checkpoints for resuming training.")
    ] = False,
    runs_dir: RunsDir = RUNS,
) -> None:
    """Delete a run, or only its checkpoints. A run that is being trained is not touched.

    Examples:
        lrmctl run rm rl --checkpoints-only
        lrmctl run rm rl --yes
    """
    from lrmctl import console
    from lrmctl.api.targets import run_folder
    from lrmctl.errors import LrmctlError
    from lrmctl.runs.folder import RunFolder
    from lrmctl.runs.marks import refuse_deleting
    from lrmctl.runs.overview import refuse_running, remove

    folder = RunFolder(run_folder(run, runs_dir, even_damaged=True))
    refuse_deleting(folder.path, runs_dir)
    if not yes and not sys.stdin.isatty():
        raise LrmctlError("nobody can be asked whether to delete it", str(folder.path), "add --yes")
    refuse_running(folder)
    what = f"the checkpoints of {folder.path}" if checkpoints_only else str(folder.path)
    if not yes and not typer.confirm(f"delete {what}?", err=True):
        console.say("nothing was deleted")
        return
    freed = remove(folder, checkpoints_only=checkpoints_only)
    console.say(f"deleted {what}: {_bytes(freed)}")


def _show_shares(found: Sequence[VarianceShares]) -> None:
    """The share of each component in the variance of the reward, over the last rollouts."""
    from lrmctl import console
    from lrmctl.cli.commands.reward.commands import share_rows

    if found:
        console.out.print("share of the reward's variance, last rollouts", markup=False)
        console.table("", *share_rows(found))


def _folder(run: str, runs_dir: Path) -> RunFolder:
    from lrmctl.api.targets import run_folder
    from lrmctl.runs.folder import RunFolder

    return RunFolder(run_folder(run, runs_dir))


def _follow(folder: RunFolder, log: Path) -> None:
    from lrmctl import console
    from lrmctl._util.tail import FileTail

    tail = FileTail(log, from_end=True)
    while True:
        running = folder.status().get("state") == "running"
        for line in tail.lines():
            console.out.print(line, markup=False)
        if not running:
            return
        time.sleep(0.5)


def _rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [(key, str(value)) for key, value in found["status"].items() if value not in ({}, None)]
    rows.append(("recipe", str(found["recipe_sha256"] or "")[:16]))
    rows += [(f"attempt {a['attempt']}", _attempt(a)) for a in found["attempts"]]
    rows += [("checkpoint", f"{c['path']} ({_bytes(c['bytes'])})") for c in found["checkpoints"]]
    return [*rows, ("on disk", _bytes(found["bytes"]))]


def _attempt(attempt: dict[str, Any]) -> str:
    resumed, code = attempt["resumed_from"], attempt["exit_code"]
    facts = (attempt["state"], f"resumed from step {resumed}" if resumed else "", f"exit code {code}" if code else "")
    return ", ".join(filter(None, (*facts, str(attempt["log"]))))


def _steps(run: dict[str, Any]) -> str:
    return f"{run['step'] or 0}/{run['total']}" if run["total"] else "-"


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, (int, float)) else "-"


def _bytes(count: int) -> str:
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
