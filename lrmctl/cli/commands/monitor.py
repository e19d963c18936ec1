"""`lrmctl monitor`: alarms for reward hacking in a run."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lrmctl.cli import completion
from lrmctl.cli.common import RUNS, AsJson, RunsDir

if TYPE_CHECKING:
    from lrmctl.hooks.specs import Judge
    from lrmctl.monitors.base import AlarmResult
    from lrmctl.monitors.monitor import Monitor

SECONDS = 2.0
"""Polling interval of `--follow`."""


def monitor(
    target: Annotated[
        str,
        typer.Argument(help="run:NAME, its name or folder, or a file of rollouts.", autocompletion=completion.runs()),
    ],
    judge: Annotated[
        str | None,
        typer.Option(help="A second judge, for judge-disagreement.", autocompletion=completion.of_registry("judge")),
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", metavar="KEY=VALUE", help="The judge's option; repeatable.")
    ] = None,
    sample: Annotated[int, typer.Option(help="Number of rollouts for the second judge.", min=32)] = 400,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", metavar="ALARM", help="Only this alarm; repeatable.", autocompletion=completion.alarms()
        ),
    ] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="ALARM.threshold=X", help="Override a limit; repeatable.")
    ] = None,
    window: Annotated[int, typer.Option(help="Least number of rollouts in a window.", min=16)] = 512,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Follow until the run ends.")] = False,
    runs_dir: RunsDir = RUNS,
    as_json: AsJson = False,
) -> None:
    """Look for reward hacking in the rollouts of an RL run. Exit code 1 if an alarm fires.

    Examples:
        lrmctl monitor rl --follow
        lrmctl monitor rl --judge qwen3guard --option model=Qwen/Qwen3Guard-Gen-0.6B --sample 400
    """
    from lrmctl import console
    from lrmctl.errors import NotFoundError

    rollouts, folder = _files(target, runs_dir)
    second = _judge(judge, option)
    watch = _monitor(rollouts, folder, only or [], _thresholds(sets or []), second, sample, window)
    gone: NotFoundError | None = None
    try:
        if follow:
            _follow(watch, folder or rollouts.parent)
        watch.finish()
    except NotFoundError as error:  # the file was deleted: still show what was read of it
        gone = error
    results = watch.results()
    if as_json:
        found = {"rollouts": rollouts, "rows": watch.seen, "unreadable": watch.rollouts.unreadable, "alarms": results}
        console.emit_json("monitor", found)
    else:
        _show(watch, results, rollouts)
    if gone is not None:
        raise gone
    if any(r.state == "alarm" for r in results):
        raise typer.Exit(console.FINDINGS)


def _files(target: str, runs_dir: Path) -> tuple[Path, Path | None]:
    """The file of rollouts, and the run folder that contains it, if any.

    Raises:
        NotFoundError: neither a run nor a file, or a run without rollouts.
    """
    from lrmctl.api.targets import run_folder
    from lrmctl.errors import NotFoundError
    from lrmctl.rows.files import is_rows_file

    file = Path(target)
    if file.is_file():
        return file, file.parent if (file.parent / "recipe.yaml").exists() else None
    if is_rows_file(target):
        raise NotFoundError(f"there is no file {target}", fix="lrmctl run list")
    folder = file if (file / "rollouts.jsonl").is_file() else run_folder(target, runs_dir)
    if not (folder / "rollouts.jsonl").is_file():
        raise NotFoundError(
            f"{target} has no rollouts", str(folder), "only RL runs have; they appear with the first step"
        )
    return folder / "rollouts.jsonl", folder


def _judge(name: str | None, options: Sequence[str] | None) -> Judge | None:
    from lrmctl.errors import LrmctlError
    from lrmctl.judges.base import make_judge

    if name is None:
        if options:
            raise LrmctlError("--option is the judge's, and there is no judge", fix="--judge NAME")
        return None
    return make_judge(name, dict(_pair(text, "--option") for text in options or ()))


def _pair(text: str, where: str) -> tuple[str, Any]:
    import yaml

    from lrmctl.errors import LrmctlError

    key, equals, value = text.partition("=")
    if not equals or not key:
        raise LrmctlError(f"not KEY=VALUE: {text!r}", where)
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise LrmctlError(f"cannot read the value of {key}: {value!r}", where) from error


def _thresholds(sets: Sequence[str]) -> dict[str, float]:
    from lrmctl.errors import LrmctlError
    from lrmctl.monitors.alarms.catalogue import check_name

    found: dict[str, float] = {}
    for key, value in (_pair(text, "--set") for text in sets):
        name, _, what = key.rpartition(".")
        if what != "threshold" or isinstance(value, bool) or not isinstance(value, (int, float)):
            raise LrmctlError(f"not ALARM.threshold=NUMBER: {key}={value}", "--set", "--set length-drift.threshold=3")
        check_name(name)
        found[name] = float(value)
    return found


def _monitor(
    rollouts: Path,
    folder: Path | None,
    only: Sequence[str],
    thresholds: dict[str, float],
    judge: Judge | None,
    sample: int,
    window: int,
) -> Monitor:
    from lrmctl.monitors.alarms.catalogue import make_alarms
    from lrmctl.monitors.monitor import Monitor, clip_of, helped_of, per_step_of, prompts_of, recipe_of

    recipe = recipe_of(folder) if folder else {}
    prompts = prompts_of(folder) if folder and judge else {}
    helped, clip = helped_of(recipe), clip_of(recipe)
    alarms = make_alarms(only, thresholds, judge=judge, prompts=prompts, sample=sample, helped=helped, clip=clip)
    metrics = (folder or rollouts.parent) / "metrics.jsonl"
    return Monitor(rollouts, metrics, alarms, per_step=per_step_of(recipe), window=window, foreign=folder is None)


def _follow(watch: Monitor, folder: Path) -> None:
    """Report new alarms until the run has ended."""
    from lrmctl import console
    from lrmctl.runs.folder import RunFolder

    while True:
        running = RunFolder(folder).status().get("state") == "running"
        for result in watch.poll():
            console.say(f"alarm: {result.alarm}, {result.began}: {result.text}")
        if not running:
            return
        time.sleep(SECONDS)


def _show(watch: Monitor, results: Sequence[AlarmResult], rollouts: Path) -> None:
    from lrmctl import console

    rows = [(r.alarm, r.state, f"{r.n} {r.unit}" if r.n else "-", r.began or "-", r.text) for r in results]
    console.table("", ("alarm", "says", "looked at", "began", "what"), rows)
    for r in results:
        if r.state != "alarm":
            continue
        console.out.print(f"\n{r.alarm}: the limit is {r.threshold:g}: {r.why}", markup=False)
        if r.rows:
            lines = ";".join(f"{row}p" for row in r.rows)
            console.out.print(f"  read: sed -n {shlex.quote(lines)} {shlex.quote(str(rollouts))}", markup=False)
    if watch.rollouts.unreadable:
        console.say(f"{watch.rollouts.unreadable} lines of {rollouts} could not be read")
    console.say(f"{watch.seen} rollouts, {watch.windows.made} windows of {watch.windows.size}")
