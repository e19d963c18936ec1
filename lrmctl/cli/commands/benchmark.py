"""`lrmctl benchmark`: safety and over-refusal sets, their sources and availability."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lrmctl.cli import completion
from lrmctl.cli.common import AsJson

if TYPE_CHECKING:
    from lrmctl.benchmarks.describe import BenchmarkDescription, ListedBenchmark, SplitDescription

app = typer.Typer(help="Benchmarks: list, show.", no_args_is_help=True)
_IDS = 5
_SOURCE = ("file", "folder", "hub", "download", "revision", "sha256", "rows")
_SAID = {True: "yes", False: "no", None: "?"}


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List every benchmark and reasoning task: kinds, prompts, licence, whether it is here.

    Examples:
        lrmctl benchmark list
    """
    from lrmctl import console
    from lrmctl.benchmarks.describe import benchmarks
    from lrmctl.hooks import registry
    from lrmctl.reasoning.tasks import task_names

    found, tasks = benchmarks(), task_names()
    if as_json:
        console.emit_json("benchmarks", {"safety": found, "reasoning": tasks})
        return
    console.table(
        "", ("benchmark", "from", "kinds", "prompts", "licence", "gated", "here", "what"), [_line(b) for b in found]
    )
    rows = [
        (t.name, t.distribution, _count(t.prompts), _short(t.license) or "?", _SAID[t.gated], _SAID[t.here], t.summary)
        for t in tasks
    ]
    console.table("", ("reasoning task", "from", "prompts", "licence", "gated", "here", "what"), rows)
    console.say("any task of lm-evaluation-harness is `lmeval:NAME`")
    for problem in registry.problems():
        console.say(problem.sentence)
    console.say("splits, sources and how to get one: lrmctl benchmark show NAME")


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A benchmark.", autocompletion=completion.of_registry("benchmark"))],
    options: Annotated[
        list[str] | None, typer.Option("--option", metavar="KEY=VALUE", help="An option, e.g. split=small; repeatable.")
    ] = None,
    prompts: Annotated[int, typer.Option(min=0, help="Print the text of this many prompts; they may be harmful.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Show a benchmark's facts, its splits and its first ids.

    A set that is not on this machine is not downloaded. The text of prompts is printed only with --prompts.

    Examples:
        lrmctl benchmark show strongreject --option split=small
        lrmctl benchmark show lab-harmful --prompts 3
    """
    from lrmctl import console
    from lrmctl.benchmarks.describe import show as described

    shown = described(name, _options(options or ()))
    if as_json:
        console.emit_json("benchmark", _json(shown, prompts))
        return
    for line in _lines(shown, prompts):
        console.out.print(line, markup=False)


def _options(pairs: list[str] | tuple[()]) -> dict[str, Any]:
    from lrmctl.errors import RecipeError
    from lrmctl.recipe.yaml import parse_value

    found = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign:
            raise RecipeError(f"is no option: {pair!r}", "--option", "say KEY=VALUE")
        found[key.strip()] = parse_value(value, f"--option {pair}")
    return found


def _line(one: ListedBenchmark) -> tuple[str, ...]:
    if not one.splits:
        return (one.name, one.origin, "", "", "", "", "", f"{one.summary}; {one.needs}")
    kinds = dict.fromkeys(kind for split in one.splits for kind in split.kinds or ("?",))
    sizes = " | ".join(_count(split.prompts) for split in one.splits[:4])
    here = {split.here for split in one.splits}
    first = one.splits[0]
    return (
        one.name,
        one.origin,
        ", ".join(kinds),
        sizes + (" | ..." if len(one.splits) > 4 else ""),
        _short(first.license),
        _SAID[first.gated],
        "part" if len(here) > 1 else _SAID[here.pop()],
        one.summary,
    )


def _count(prompts: int | None) -> str:
    return "?" if prompts is None else f"{prompts:,}"


def _short(license: str) -> str:
    return re.split("[;:,]", license)[0]


def _json(shown: BenchmarkDescription, prompts: int) -> dict[str, Any]:
    asked = shown.prompts
    return {
        **{key: value for key, value in vars(shown).items() if key != "prompts"},
        "ids": None if asked is None else [prompt.id for prompt in asked],
        "prompts": None if asked is None else [prompt.to_json() for prompt in asked[:prompts]],
    }


def _lines(shown: BenchmarkDescription, prompts: int) -> list[str]:
    split, defaults = shown.split, (f"{key}={value}" for key, value in shown.options.items())
    page = f"{split.url} (gated)" if split.gated else split.url
    facts = {"licence": split.license, "page": page, **split.facts, "options": ", ".join(defaults)}
    lines = [f"{split.name}  from {shown.listed.origin}", "", shown.about, "", *_pairs(facts), "", "splits"]
    lines += [f"  {_as_option(one.options)}: {_amount(one)}" for one in shown.listed.splits]
    return [*lines, "", *_found(shown, prompts)]


def _found(shown: BenchmarkDescription, prompts: int) -> list[str]:
    """The prompts on this machine."""
    if shown.prompts is None:
        return [f"not on this machine: {shown.split.how_to_get}"]
    told = {"prompts": len(shown.prompts), "first ids": ", ".join(prompt.id for prompt in shown.prompts[:_IDS])}
    source = {key: value for key in _SOURCE if (value := (shown.provenance or {}).get(key))}
    texts = [line for one in shown.prompts[:prompts] for line in ("", f"{one.id}  {one.kind}", one.text)]
    return ["found", *_pairs({**source, **told}), *texts]


def _pairs(facts: Mapping[str, object]) -> list[str]:
    return [f"  {key:<10} {value}" for key, value in facts.items()]


def _as_option(options: Mapping[str, object]) -> str:
    return ", ".join(f"{key}: {value}" for key, value in options.items()) or "by default"


def _amount(split: SplitDescription) -> str:
    count = "?" if split.prompts is None else f"{split.prompts:,}"
    return f"{count} {' and '.join(split.kinds or ('?',))}" + ("" if split.here is not False else ", not here")
