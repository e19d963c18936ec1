"""`lrmctl data build`: training data made by sampling from a model, judging, and keeping what passes."""

from __future__ import annotations

from typing import Annotated

import typer

from lrmctl.cli import completion
from lrmctl.cli.commands.smoke import smoke
from lrmctl.cli.common import (
    RUNS,
    AsJson,
    Name,
    RunsDir,
    Sets,
    TrustRemoteCode,
    command_line,
    load,
    print_resume_command,
    recipe_argument,
)


def build(
    recipe: Annotated[str, recipe_argument("data")],
    sets: Sets = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Sample from this model instead of the recipe's.",
            autocompletion=completion.runs("lab:tiny", qualified=True),
        ),
    ] = None,
    name: Name = None,
    runs_dir: RunsDir = RUNS,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the number of completions and judge calls; start nothing.")
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            help="Look for this eval recipe's prompts in the rows.",
            autocompletion=completion.recipes("eval", "study"),
        ),
    ] = None,
    trust_remote_code: TrustRemoteCode = False,
    as_smoke: Annotated[
        bool, typer.Option("--smoke", help="Try the build on CPU: a tiny random model, a few prompts, stand-ins.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Draw samples, judge them, and keep rows that recipes can name as `run:NAME`.

    Builders: select, distill, refuse, correct, critique, backtrack, intervene, pass-rate, rewrite, annotate. The same
    command again continues a build that was interrupted.

    Examples:
        lrmctl data build lab/data/refuse --dry-run
        lrmctl data build mine.yaml --model run:rl --against eval/safety
    """
    sets = [*(sets or ()), *(["trust_remote_code=true"] if trust_remote_code else ())]
    if as_smoke:
        smoke(recipe, None, sets, model, runs_dir, as_json)
        return

    from lrmctl import console
    from lrmctl.builders.plan import plan_build
    from lrmctl.builders.run import execute
    from lrmctl.cli.views import data as view

    loaded = load(recipe, sets, "data")
    if model is not None:
        loaded = loaded.override({"model": model}, "--model")
    evaluated = load(against, None, "eval", "study") if against else None
    if dry_run:
        planned = plan_build(loaded, runs_dir=runs_dir, name=name, allow_missing=True)
        view.show_plan(planned.plan, as_json)
        return
    console.show_own_warnings()
    planned = plan_build(loaded, runs_dir=runs_dir, name=name)
    options = (("--model", model), ("--name", name), ("--against", against))
    words = ["data", "build", recipe, *(word for option, value in options if value for word in (option, value))]
    again = command_line(*words, sets=sets, runs_dir=runs_dir)
    with (
        print_resume_command(again, planned.plan.folder.exists),
        view.stages(planned.plan.name) as on_stage,
    ):
        built = execute(planned, against=evaluated, on_stage=on_stage)
    view.show_built(built, as_json)
