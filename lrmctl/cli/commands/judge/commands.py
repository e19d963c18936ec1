"""`lrmctl judge`: judges, used and measured outside an evaluation."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from lrmctl.cli import completion
from lrmctl.cli.commands.judge.agree import agree
from lrmctl.cli.commands.judge.fit import fit
from lrmctl.cli.commands.judge.options import Measured, Parts
from lrmctl.cli.commands.judge.words import measure_and_show
from lrmctl.cli.common import AsJson, RowsThinking, rows_thinking
from lrmctl.errors import LrmctlError

app = typer.Typer(help="Judges: list, show, score, measure, agree, fit.", no_args_is_help=True)
app.command()(fit)
app.command()(agree)

Options = Annotated[
    list[str] | None, typer.Option("--option", metavar="KEY=VALUE", help="An option of the judge; repeatable.")
]
OptionsJson = Annotated[str | None, typer.Option("--options-json", metavar="JSON", help="Nested options, as JSON.")]
PartOption = Annotated[Parts, typer.Option("--part", help="The part to judge.")]
_JUDGE = "A judge, or 'NAME: {option: value}'"


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List every judge and what its verdicts contain.

    Examples:
        lrmctl judge list
    """
    from lrmctl import console
    from lrmctl.hooks import registry
    from lrmctl.judges.describe import judges

    found = judges()
    if as_json:
        console.emit_json("judges", found)
        return
    words = {True: "yes", False: "no", None: "?"}
    rows = [
        (j.name, j.origin, words[j.needs_model], words[j.says_refusal], words[j.smoke_only], j.summary) for j in found
    ]
    console.table("", ("judge", "from", "model", "says refusal", "smoke only", "what"), rows)
    for problem in registry.problems():
        console.say(problem.sentence)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A judge.", autocompletion=completion.of_registry("judge"))],
    options: Options = None,
    options_json: OptionsJson = None,
    as_json: AsJson = False,
) -> None:
    """Show a judge's options and its exact question.

    The question is about an example; judges without a model have none.

    Examples:
        lrmctl judge show qwen3guard
        lrmctl judge show yes-no --option model=Qwen/Qwen3-4B
    """
    from lrmctl import console
    from lrmctl.judges import describe
    from lrmctl.judges.offline.render import shown_lines
    from lrmctl.judges.spec import named_judges

    (named,) = named_judges([name], options or (), options_json)
    shown = describe.show(named.name, named.options)
    if as_json:
        console.emit_json("judge", shown)
        return
    for line in shown_lines(shown):
        console.out.print(line, markup=False)


@app.command()
def score(
    file: Annotated[Path, typer.Argument(help="A JSONL file: evaluation rows, rollouts, or prompt and response.")],
    judge: Annotated[str, typer.Option("--judge", help=f"{_JUDGE}.", autocompletion=completion.of_registry("judge"))],
    options: Options = None,
    options_json: OptionsJson = None,
    part: PartOption = Parts.ANSWER,
    thinking: RowsThinking = None,
    out: Annotated[Path | None, typer.Option(help="File for the verdicts; beside FILE by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Judge every row of a file; a second run continues.

    Verdicts are written as they arrive, counts with intervals are printed at the end. Exit code 1 if the judge failed
    on a row.

    Examples:
        lrmctl judge score rows.jsonl --judge refusal-phrases --part both
        lrmctl judge score rows.jsonl --judge qwen3guard --option model=Qwen/Qwen3Guard-Gen-0.6B
    """
    from lrmctl import console
    from lrmctl.cli.common import print_resume_command
    from lrmctl.hooks import registry
    from lrmctl.judges.offline.inputs import read_items
    from lrmctl.judges.offline.render import counts_table
    from lrmctl.judges.offline.score import again, beside, score_items, summary_of
    from lrmctl.judges.spec import named_judges

    (named,) = named_judges([judge], options or (), options_json)
    registry.find("judge", named.name)
    with rows_thinking(thinking):
        items = read_items(file)
    out = out or beside(file, named, part.value)
    further = f" --thinking {shlex.quote(thinking)}" if thinking else ""
    with (
        print_resume_command(again(file, named, part.value, out) + further),
        console.progress(f"judge {file.name}") as on_progress,
    ):
        verdicts = score_items(named, items, part.value, out, on_progress)
    found = {**summary_of(named, items, verdicts, part.value), "out": out}
    if as_json:
        console.emit_json("judge score", found)
    else:
        console.out.print(f"{found['judge']} {found['version']} on {part.value}", markup=False)
        console.table("", *counts_table(found))
    for failure in found["failures"]:
        console.say(f"failed on {failure['count']}, e.g. {failure['error']}")
    console.say(f"verdicts: {out}")
    if found["failures"]:
        raise typer.Exit(console.FINDINGS)


@app.command()
def measure(
    file: Annotated[
        str,
        typer.Argument(
            help="A labelled JSONL file, or a known set: rbr-gold, star1.",
            autocompletion=completion.of_words("rbr-gold", "star1"),
        ),
    ],
    judges: Annotated[
        list[str],
        typer.Option("--judge", help=f"{_JUDGE}; repeatable.", autocompletion=completion.of_registry("judge")),
    ],
    label: Annotated[
        Measured, typer.Option(help="What the labels are about; word: the judge's own, such as a level or a kind.")
    ],
    labels_from: Annotated[
        str | None, typer.Option(metavar="SET|FIELD", help="A known set, or the rows' field; FILE's set by default.")
    ] = None,
    positive: Annotated[
        list[str] | None, typer.Option(metavar="VALUE", help="A value of the field that means yes; repeatable.")
    ] = None,
    options: Options = None,
    options_json: OptionsJson = None,
    part: PartOption = Parts.ANSWER,
    thinking: RowsThinking = None,
    as_markdown: Annotated[bool, typer.Option("--md", help="Print Markdown on stdout.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure how well judges agree with human labels.

    Rows on which a judge failed or gave no answer are counted separately. Exit code 1 if a judge failed on a row.

    Examples:
        lrmctl judge measure rbr-gold --judge refusal-phrases --label refused
        lrmctl judge measure labelled.jsonl --judge lab --label unsafe --labels-from label --positive unsafe
    """
    from lrmctl import console
    from lrmctl.judges.fitted.judge import trained_on
    from lrmctl.judges.offline import render
    from lrmctl.judges.offline.labels import About, read_labelled
    from lrmctl.judges.offline.measure import measure as measured
    from lrmctl.judges.spec import named_judges

    named = named_judges(judges, options or (), options_json)
    if label is Measured.WORD:
        if positive:
            raise LrmctlError("words are compared as they are", "--positive", "leave it out, or say --label unsafe")
        if measure_and_show(named, file, labels_from or "", part, thinking, as_md=as_markdown, as_json=as_json):
            raise typer.Exit(console.FINDINGS)
        return
    about: About = "refused" if label is Measured.REFUSED else "unsafe"
    with rows_thinking(thinking):
        labelled = read_labelled(file, about, labels_from or "", positive or ())
    with console.progress(f"measure on {file}") as on_progress:
        found = measured(named, labelled, part.value, on_progress)
    if as_json:
        console.emit_json("judge measure", render.plain(found))
    elif as_markdown:
        console.out.print(render.markdown(found), markup=False)
    else:
        console.out.print(render.headline(found), markup=False)
        console.table("", *render.measure_table(found))
        if found.pairs:
            console.table("", *render.pairs_table(found))
    for one, spec in zip(found.judges, named, strict=True):
        console.say(f"{one.title}: version {one.version}")
        if spec.name == "fitted" and trained_on(spec.options, labelled.file):
            console.say(f"{one.title} was fitted on these rows: this is no measurement of it; see its judge.json")
        for failure in one.failures:
            console.say(f"{one.title} failed on {failure['count']}, e.g. {failure['error']}")
    if any(one.failed for one in found.judges):
        raise typer.Exit(console.FINDINGS)
