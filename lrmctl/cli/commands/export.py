"""`lrmctl export`: results in the formats of other tools."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lrmctl.cli import completion
from lrmctl.cli.common import RUNS, RunsDir

if TYPE_CHECKING:
    from lrmctl.export.source import ExportedEvaluation


class ExportFormat(StrEnum):
    """The tool whose format is written."""

    inspect = "inspect"
    lm_eval = "lm-eval"
    hf = "hf"


def export(
    target: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="An evaluated run: run:NAME, its name, its folder, or NAME@VARIANT.",
            autocompletion=completion.runs(variants=True),
        ),
    ],
    to: Annotated[
        ExportFormat, typer.Option(help="inspect (its viewer), lm-eval (results JSON), hf (Parquet and a card).")
    ],
    output: Annotated[
        Path | None, typer.Option("--out", "-o", help="A new folder; export/FORM in the evaluation's by default.")
    ] = None,
    no_text: Annotated[
        bool, typer.Option("--no-text", help="Leave out prompts, thinking and answers; keep ids, verdicts, scores.")
    ] = False,
    runs_dir: RunsDir = RUNS,
) -> None:
    """Write the results of an evaluation in another tool's format.

    Examples:
        lrmctl export rl --to inspect
        lrmctl export rl --to hf --no-text --out rl-rows
    """
    from lrmctl import console
    from lrmctl.api.side_by_side import evaluated_folder
    from lrmctl.export.source import ExportedEvaluation

    folder = evaluated_folder(target, runs_dir)
    evaluation = ExportedEvaluation(folder, target.removeprefix("run:"), text=not no_text)
    out = output or folder / "export" / to.value
    for path in _writer(to)(evaluation, out):
        console.out.print(path, markup=False)
    if to is ExportFormat.inspect:
        console.say(f"to read them: inspect view start --log-dir {out}")
    if not no_text:
        console.say("note: these files hold prompts and completions, harmful ones too; --no-text leaves them out")


def _writer(to: ExportFormat) -> Callable[[ExportedEvaluation, Path], list[Path]]:
    if to is ExportFormat.inspect:
        from lrmctl.export.inspect import write_inspect

        return write_inspect
    if to is ExportFormat.lm_eval:
        from lrmctl.export.lm_eval import write_lm_eval

        return write_lm_eval
    from lrmctl.export.hugging_face import write_hugging_face

    return write_hugging_face
