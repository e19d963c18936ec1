"""`lrmctl traces`: the traces of a run that fulfil a condition, for reading, for a page, or for another program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lrmctl.cli import completion
from lrmctl.cli.common import RUNS, RunsDir

if TYPE_CHECKING:
    from pathlib import Path

    from lrmctl.viewer import ViewedRun

SHOWN = 20


def traces(
    target: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="run:NAME, its name, its folder, or a study.",
            autocompletion=completion.runs(studies=True),
        ),
    ],
    where: Annotated[
        str, typer.Option("--where", metavar="CONDITION", help="For example: thinking=unsafe and answer=safe.")
    ] = "",
    rollouts: Annotated[bool, typer.Option("--rollouts", help="The rollouts of its training too.")] = False,
    limit: Annotated[
        int | None,
        typer.Option(min=0, help=f"Print at most this many; 0 for all. {SHOWN} by default, all with --jsonl."),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Print whole texts; by default their beginnings.")] = False,
    md: Annotated[bool, typer.Option("--md", help="Print Markdown, with whole texts.")] = False,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="Print rows as stored, with run and line.")] = False,
    runs_dir: RunsDir = RUNS,
) -> None:
    """Print the traces of a run that fulfil a condition.

    A condition is FIELD OP VALUE, joined by and, or, not and parentheses; OP is = != < <= > >= or ~ (contains). The
    search of `lrmctl view` takes the same.

    Examples:
        lrmctl traces rl --where 'thinking=unsafe and answer=safe' --full
        lrmctl traces rl --rollouts --jsonl
    """
    from itertools import islice

    from lrmctl import console
    from lrmctl.cli.views import traces as view
    from lrmctl.errors import LrmctlError
    from lrmctl.viewer.matching import MatchingTraces
    from lrmctl.viewer.query import parse_query

    if md and jsonl:
        raise LrmctlError("--md and --jsonl are two forms of the same", fix="choose one")
    query = parse_query(where)
    found = MatchingTraces(_runs(target, runs_dir), query, rollouts=rollouts)
    most = limit if limit is not None else 0 if jsonl else SHOWN
    show = view.stored if jsonl else view.markdown if md else view.listing(full=full)
    matches, shown = iter(found), 0
    for trace in islice(matches, most) if most else matches:
        shown += 1
        show(trace)
    more = sum(1 for _ in matches)
    console.say(f"{shown} of {shown + more} matches among {found.read} traces{'; --limit 0 for all' if more else ''}")
    if found.unreadable:
        console.warn(f"{found.unreadable} lines hold no trace and were passed over")


def _runs(target: str, runs_dir: Path) -> list[ViewedRun]:
    from lrmctl.api.side_by_side import arms_of
    from lrmctl.viewer import ViewedRun

    return [ViewedRun(arm.label, arm.path) for arm in arms_of(target, runs_dir)]
