"""`lrmctl report`: one HTML page from evaluated runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lrmctl.cli.common import RUNS, Force, RunsDir
from lrmctl.runs.damage import part_of, read_object
from lrmctl.runs.names import check_name, is_run_name, named_run

if TYPE_CHECKING:
    from lrmctl.reporting.build import ArmFolder


def report(
    targets: Annotated[list[str], typer.Argument(metavar="RUN...", help="Evaluated runs, the base first; or a study.")],
    output: Annotated[
        Path | None, typer.Option("--out", "-o", help="The HTML file; beside the first run by default.")
    ] = None,
    title: Annotated[str, typer.Option(help="Headline of the page.")] = "",
    runs_dir: RunsDir = RUNS,
    force: Force = False,
) -> None:
    """Write one self-contained HTML report and its table as JSON."""
    from lrmctl import console
    from lrmctl.reporting.build import build_report
    from lrmctl.runs.output import check_output, is_report, object_with

    arms = [arm for target in targets for arm in _arms(target, runs_dir)]
    out = output or _beside(targets[0], runs_dir)
    check_output(out, is_report, force=force)
    check_output(out.with_name("table.json"), object_with("deltas"), force=force)
    page = build_report(arms, out, title=title or "lrmctl report", say=console.warn)
    console.out.print(page, markup=False)


def _beside(target: str, runs_dir: Path) -> Path:
    return (_study(target, runs_dir) or _folder(target, runs_dir)) / "report.html"


def _folder(target: str, runs_dir: Path) -> Path:
    from lrmctl.cli.targets import run_folder

    return run_folder(target, runs_dir)


def _study(target: str, runs_dir: Path) -> Path | None:
    name = named_run(target) if target.startswith("run:") else target
    folders = ([runs_dir / name] if is_run_name(name) else []) + ([] if name != target else [Path(target)])
    return next((folder for folder in folders if (folder / "study.json").is_file()), None)


def _arms(target: str, runs_dir: Path) -> Iterator[ArmFolder]:
    from lrmctl.reporting.build import ArmFolder

    study = _study(target, runs_dir)
    if study is None:
        folder = _folder(target, runs_dir)
        yield ArmFolder(folder.name, folder.name, False, folder)
        return
    yield ArmFolder("base", "Base", False, study / "base")
    with part_of(study / "study.json"):
        listed: list[dict[str, Any]] = list(read_object(study / "study.json")["recipe"]["arms"])
        arms = [(check_name(a["name"], "arms"), str(a["label"] or a["name"]), bool(a["control"])) for a in listed]
    for name, label, control in arms:
        yield ArmFolder(name, label, control, study / name)
