"""`lrmctl eval`: safety and reasoning of a model, or of a run's model."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lrmctl.cli import completion
from lrmctl.cli.common import (
    RUNS,
    AsJson,
    PriceTexts,
    RunsDir,
    Sets,
    TrustRemoteCode,
    command_line,
    load,
    prices_of,
    print_resume_command,
)

if TYPE_CHECKING:
    from lrmctl.api import Evaluation
    from lrmctl.planning.prices import Prices
    from lrmctl.recipe.load import LoadedRecipe
    from lrmctl.recipe.schema.evaluation import EvalSection


def evaluate(
    target: Annotated[
        str,
        typer.Argument(
            help="A model (lab:tiny, a folder, a hub id), a run (run:NAME, its folder), or a model's name on a server.",
            autocompletion=completion.runs("lab:tiny", qualified=True),
        ),
    ],
    recipe: Annotated[
        str | None,
        typer.Option(
            help="An eval or study recipe: a file or a shipped name; only the lab's models have one by default.",
            autocompletion=completion.recipes("eval", "study"),
        ),
    ] = None,
    sets: Sets = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the folder for a model's results; the model's own by default.")
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option(
            help="Keep this evaluation beside the run's own, as NAME@VARIANT; by default named after the decoding mode."
        ),
    ] = None,
    rejudge: Annotated[
        bool, typer.Option("--rejudge", help="Judge and grade the stored completions again; nothing is generated.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Move an evaluation with other settings to its folder before-N.")
    ] = False,
    checkpoints: Annotated[
        str | None,
        typer.Option(
            metavar="all|every:N", help="Evaluate the models that the run saved at its steps, as NAME@step-N."
        ),
    ] = None,
    training: Annotated[
        str | None,
        typer.Option(
            help="The model's training data (a run or a recipe), to be searched for evaluation prompts.",
            autocompletion=completion.any_of(
                completion.runs(qualified=True), completion.recipes("sft", "preference", "rl", "data")
            ),
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print prompts, completions, judge calls and cost; start nothing.")
    ] = False,
    price: PriceTexts = None,
    trust_remote_code: TrustRemoteCode = False,
    everything: Annotated[bool, typer.Option("--all", help="Show every metric.")] = False,
    runs_dir: RunsDir = RUNS,
    as_json: AsJson = False,
) -> None:
    """Evaluate safety and reasoning.

    Safety is judged in thinking and in answer. Results of a run go into its own folder.

    Examples:
        lrmctl eval Qwen/Qwen3-4B --recipe eval/safety-qwen3 --name qwen3-4b
        lrmctl eval Qwen/Qwen3-4B --recipe lab/eval --dry-run --price eval_tokens_per_second=2000,gpu_hour=2.5
        lrmctl eval run:rl --recipe eval/safety-quick --checkpoints every:20
    """
    from lrmctl import api, console
    from lrmctl.api.targets import recipe_for
    from lrmctl.cli.views.summary import show_summary
    from lrmctl.metrics.remarks import undecided

    recipe = recipe or recipe_for(target, runs_dir)
    sets = [*(sets or ()), *(["evaluation.trust_remote_code=true"] if trust_remote_code else ())]
    loaded = load(recipe, sets, "eval", "study")
    prices = prices_of(price, dry_run)
    if dry_run:
        _show_plan(target, loaded, prices, as_json, runs_dir, name)
        return
    console.show_own_warnings()
    if checkpoints is not None:
        _refuse_beside_checkpoints(
            {"--name": name, "--variant": variant, "--rejudge": rejudge, "--training": training, "--json": as_json}
        )
        words = ["eval", target, "--recipe", recipe, "--checkpoints", checkpoints, *(["--replace"] if replace else [])]
        with print_resume_command(command_line(*words, sets=sets, runs_dir=runs_dir)):
            _evaluate_checkpoints(target, loaded, checkpoints, replace, runs_dir)
        return
    options = (("--name", name), ("--variant", variant), ("--training", training))
    settings = [word for option, value in options if value for word in (option, value)]
    settings += ["--replace"] if replace else []
    again = command_line("eval", target, "--recipe", recipe, *settings, sets=sets, runs_dir=runs_dir)
    if rejudge:
        console.say("judging what is stored again")
    with (
        nullcontext() if rejudge else print_resume_command(again),
        nullcontext() if rejudge else console.progress(f"eval {name or target}") as on_progress,
    ):
        done = api.evaluate(
            target,
            loaded,
            name=name,
            variant=variant,
            rejudge=rejudge,
            replace=replace,
            training=training,
            runs_dir=runs_dir,
            on_progress=on_progress,
            on_warning=console.warn,
        )
    console.say(f"results are in {done.folder}")
    summary = done.summary
    show_summary(summary, as_json, everything)
    if any(undecided(entry) for entry in summary["sets"]):  # the reason is shown beside the metrics
        raise typer.Exit(console.FINDINGS)


def _show_plan(
    target: str, loaded: LoadedRecipe, prices: Prices, as_json: bool, runs_dir: Path, name: str | None
) -> None:
    """Print what an evaluation of one model takes."""
    from lrmctl import console
    from lrmctl.api.targets import target_folder
    from lrmctl.cli.views import cost as view
    from lrmctl.errors import NotFoundError
    from lrmctl.evaluation.pace import earlier_evaluation
    from lrmctl.evaluation.plan import plan_evaluation
    from lrmctl.planning import render as words
    from lrmctl.studies.resources import gpus_of_evaluation

    section: EvalSection = loaded.recipe.evaluation  # type: ignore[union-attr, assignment]  # of the kinds asked for
    plan = plan_evaluation(section, gpus_of_evaluation(section))
    earlier = None
    with suppress(NotFoundError):  # a run that is still to come has no evaluation
        earlier = earlier_evaluation(target, target_folder(target, runs_dir, name), section, runs_dir)
    cost = plan.cost(prices, earlier)
    if as_json:
        console.emit_json("eval-plan", {"target": target, **plan.to_json(), "cost": cost.to_json()})
        return
    console.table("", ("set", "prompts"), [(name, words.number(n)) for name, n in plan.prompts.items()])
    unknown = view.UNKNOWN
    figures = {
        "completions": plan.completions,
        "tokens generated, at most": plan.tokens_at_most,
        "judge calls, at most": plan.judge_calls,
    }
    rows = [(name, unknown if n is None else words.number(n), "") for name, n in figures.items()]
    console.table("", ("what", "figure", "from"), [*rows, *view.rows(cost)])
    for note in plan.notes:
        console.out.print(f"- {note}", markup=False)
    console.out.print("planned; nothing was started", markup=False)


def _refuse_beside_checkpoints(given: Mapping[str, object]) -> None:
    from lrmctl.errors import LrmctlError

    if named := [option for option, value in given.items() if value]:
        raise LrmctlError(f"{named[0]} has no effect beside --checkpoints", fix="leave one of the two out")


def _evaluate_checkpoints(target: str, loaded: LoadedRecipe, which: str, replace: bool, runs_dir: Path) -> None:
    """Evaluate the models of a run's steps; prints the main figures, one line per step."""
    from lrmctl import api, console

    def tell(step: int, done: Evaluation | None) -> None:
        console.say(f"step {step}: results are in {done.folder}" if done else f"step {step}")

    with console.progress(f"eval {target}") as on_progress:
        found = api.evaluate_checkpoints(
            target,
            loaded,
            checkpoints=which,
            replace=replace,
            runs_dir=runs_dir,
            on_checkpoint=tell,
            on_progress=on_progress,
            on_warning=console.warn,
        )
    names = ("joint_safe", "thinking_safe", "answer_safe", "complied", "correct")
    rows = [
        (step, row["set"], f"{row['temperature']:g}", row["metric"], *_percent(row))
        for step, done in found.items()
        for row in done.figures()
        if row["metric"] in names
    ]
    console.table("", ("step", "set", "T", "metric", "%", "95 % interval"), rows)


def _percent(row: Mapping[str, Any]) -> tuple[str, str]:
    if row["value"] is None:
        return "-", "-"
    bounded = row["low"] is not None and row["high"] is not None
    return f"{100 * row['value']:.1f}", f"{100 * row['low']:.1f} to {100 * row['high']:.1f}" if bounded else "-"
