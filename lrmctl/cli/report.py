"""`lrmctl report`: one HTML page from evaluated runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lrmctl.cli.common import RUNS, RunsDir

if TYPE_CHECKING:
    from lrmctl.report.build import ArmFolder


def report(
    targets: Annotated[list[str], typer.Argument(metavar="RUN...", help="Evaluated runs, the base first; or a study.")],
    output: Annotated[
        Path | None, typer.Option("--out", "-o", help="The HTML file; beside the first run by default.")
    ] = None,
    title: Annotated[str, typer.Option(help="Headline of the page.")] = "",
    runs_dir: RunsDir = RUNS,
) -> None:
    """Write one self-contained HTML report."""
    from lrmctl import console
    from lrmctl.report.build import build_report

    arms = [arm for target in targets for arm in _arms(target, runs_dir)]
    page = build_report(arms, output or _beside(targets[0], runs_dir), title=title or "lrmctl report")
    console.out.print(page, markup=False)


def _beside(target: str, runs_dir: Path) -> Path:
    return (_study(target, runs_dir) or _folder(target, runs_dir)) / "report.html"


def _folder(target: str, runs_dir: Path) -> Path:
    from lrmctl.cli.targets import run_folder

    return run_folder(target, runs_dir)


def _study(target: str, runs_dir: Path) -> Path | None:
    folders = (runs_dir / target.removeprefix("run:"), Path(target))
    return next((folder for folder in folders if (folder / "study.json").is_file()), None)


def _arms(target: str, runs_dir: Path) -> Iterator[ArmFolder]:
    from lrmctl.report.build import ArmFolder

    study = _study(target, runs_dir)
    if study is None:
        folder = _folder(target, runs_dir)
        yield ArmFolder(folder.name, folder.name, False, folder)
        return
    yield ArmFolder("base", "Base", False, study / "base")
    listed: list[dict[str, Any]] = json.loads((study / "study.json").read_text(encoding="utf-8"))["recipe"]["arms"]
    for arm in listed:
        yield ArmFolder(arm["name"], arm["label"] or arm["name"], arm["control"], study / arm["name"])
