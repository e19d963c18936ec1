"""`lrmctl judge fit`: a judge fitted on labelled rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lrmctl.cli.commands.judge.options import Abouts, TextParts
from lrmctl.cli.common import AsJson, RowsThinking, rows_thinking
from lrmctl.errors import LrmctlError

if TYPE_CHECKING:
    from lrmctl.judges.fitted.classifier import Threshold
    from lrmctl.judges.fitted.manifest import FittedManifest


def fit(
    rows: Annotated[list[str], typer.Argument(help="Labelled files, or known sets: rbr-gold, star1.")],
    label: Annotated[Abouts, typer.Option(help="What the judge is to say, which the labels are about.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write.")],
    features: Annotated[
        str, typer.Option(help="tfidf, or hidden:MODEL or hidden:MODEL@LAYER for mean hidden states.")
    ] = "tfidf",
    labels_from: Annotated[
        str | None, typer.Option(metavar="SET|FIELD", help="A known set, or the rows' field; not for known sets.")
    ] = None,
    positive: Annotated[
        list[str] | None, typer.Option(metavar="VALUE", help="A value of the field that means yes; repeatable.")
    ] = None,
    part: Annotated[TextParts, typer.Option("--part", help="The part to fit on.")] = TextParts.ANSWER,
    threshold: Annotated[
        str, typer.Option(help="Yes from this probability on; or kappa or balanced: the best one on held-out prompts.")
    ] = "kappa",
    folds: Annotated[int, typer.Option(help="Folds of the prompts, each held out once.", min=2)] = 5,
    seed: Annotated[int, typer.Option(help="Seed of the folds.", min=0, max=2**32 - 1)] = 0,
    batch_size: Annotated[int, typer.Option(help="Texts per batch of the hidden states' model.", min=1)] = 16,
    device: Annotated[str, typer.Option(help="Its device: auto, cpu or cuda.")] = "auto",
    thinking: RowsThinking = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the fitted judge in the folder.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fit a judge for CPUs on labelled rows, and measure it on held-out prompts.

    Prompts are never in two folds; with several files each is also judged by a model fitted on the others. The judge
    is then named `fitted`, with the option `folder`.

    Examples:
        lrmctl judge fit rbr-gold --label refused --out my-judge
        lrmctl judge fit labelled.jsonl --label unsafe --labels-from label --positive unsafe --out my-judge
    """
    from lrmctl import console
    from lrmctl.judges.fitted.classifier import ClassifierSettings
    from lrmctl.judges.fitted.fit import FitRequest, fit_judge

    settings = ClassifierSettings(folds, seed, _threshold(threshold))
    request = FitRequest(
        tuple(rows),
        label.value,
        part.value,
        features,
        labels_from or "",
        tuple(positive or ()),
        settings,
        batch_size,
        device,
    )
    with rows_thinking(thinking), console.progress("cross-validation") as on_progress:
        found = fit_judge(request, out, force=force, on_progress=on_progress)
    if as_json:
        console.emit_json("judge fit", {"out": out, "manifest": found})
    else:
        _show(found, out)


def _threshold(said: str) -> Threshold:
    named: dict[str, Threshold] = {"kappa": "kappa", "balanced": "balanced"}
    if said in named:
        return named[said]
    try:
        found = float(said)
    except ValueError:
        found = float("nan")
    if not 0 < found < 1:
        fix = "say kappa, balanced, or a number between 0 and 1"
        raise LrmctlError(f"there is no threshold {said[:200]!r}", "--threshold", fix)
    return found


def _show(found: FittedManifest, out: Path) -> None:
    from lrmctl import console
    from lrmctl.judges.fitted.render import chance_warning, measured_lines, scores_table, sources_line

    console.out.print(sources_line(found), markup=False)
    console.table("", *scores_table(found))
    for line in (*chance_warning(found), *measured_lines(found), f"judge: 'fitted: {{folder: {out}}}'"):
        console.say(line)
