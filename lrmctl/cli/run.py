"""`lrmctl run`: the runs that are there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lrmctl.cli.common import RUNS, AsJson, RunsDir

app = typer.Typer(help="Training runs on this machine.", no_args_is_help=True)


@app.command("list")
def list_(runs_dir: RunsDir = RUNS, as_json: AsJson = False) -> None:
    """List runs, the arms of studies among them."""
    from lrmctl import console
    from lrmctl.cli.targets import all_runs

    runs = [_facts(folder, runs_dir) for folder in all_runs(runs_dir)]
    if as_json:
        console.emit_json("runs", runs)
        return
    rows = [(r["name"], r["state"], r["updated"], "yes" if r["evaluated"] else "no") for r in runs]
    console.table("", ("run", "state", "updated", "evaluated"), rows)


@app.command()
def show(
    run: Annotated[str, typer.Argument(help="run:NAME, its name, or its folder.")],
    runs_dir: RunsDir = RUNS,
    as_json: AsJson = False,
) -> None:
    """Show one run: its state, its last metrics, its evaluation."""
    import json

    from lrmctl import console
    from lrmctl.cli.targets import run_folder, show_summary
    from lrmctl.runs.folder import RunFolder
    from lrmctl.runs.rows import read_jsonl

    folder = RunFolder(run_folder(run, runs_dir))
    metrics = list(read_jsonl(folder.metrics))[-1:]
    summary_file = folder.eval / "summary.json"
    summary = json.loads(summary_file.read_text(encoding="utf-8")) if summary_file.exists() else None
    status = folder.status()
    if as_json:
        facts = {"path": folder.path, "status": status, "metrics": metrics[0] if metrics else None, "eval": summary}
        console.emit_json("run", facts)
        return
    rows = [(key, value) for part in (status, *metrics) for key, value in part.items()]
    console.table(str(folder.path), ("key", "value"), rows)
    if summary:
        show_summary(summary, as_json=False)


def _facts(folder: Path, runs_dir: Path) -> dict[str, Any]:
    from lrmctl.runs.folder import RunFolder

    status = RunFolder(folder).status()
    return {
        "name": folder.relative_to(runs_dir).as_posix(),
        "path": folder,
        "state": status.get("state", "not trained here"),
        "updated": status.get("updated", ""),
        "evaluated": (folder / "eval" / "summary.json").exists(),
    }
