"""`lrmctl train`: one run of SFT, preference training or RL."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lrmctl.cli import completion
from lrmctl.cli.commands.smoke import smoke
from lrmctl.cli.common import (
    RUNS,
    AsJson,
    Force,
    Name,
    On,
    PriceTexts,
    RunsDir,
    Sets,
    TrustRemoteCode,
    command_line,
    load,
    prices_of,
    print_resume_command,
    recipe_argument,
)

if TYPE_CHECKING:
    from lrmctl.planning.prices import Prices
    from lrmctl.training.plan import TrainingPlan


def show_plan(
    plan: TrainingPlan, against: str | None, out: Path | None, as_json: bool, prices: Prices, runs_dir: Path
) -> None:
    """Print the plan on stdout, as text or JSON, and write it to a file."""
    from lrmctl import console
    from lrmctl.training.cost import training_cost
    from lrmctl.training.dry_run import dry_run

    planned = dry_run(plan, load(against, None, "eval", "study") if against else None)
    planned = replace(planned, cost=training_cost(plan, prices, runs_dir))
    if out is not None:
        from lrmctl.runs.folder import write_json

        write_json(out, planned.to_json())
    if as_json:
        console.emit_json("plan", planned)
        return
    from lrmctl.cli.views.plan import show

    show(planned)


def train(
    recipe: Annotated[str, recipe_argument("sft", "preference", "rl")],
    on: On = None,
    sets: Sets = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Start from this model instead of the recipe's.",
            autocompletion=completion.runs("lab:tiny", qualified=True),
        ),
    ] = None,
    name: Name = None,
    runs_dir: RunsDir = RUNS,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run of this name.")] = False,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="With --resume: start over from the beginning.")
    ] = False,
    launch: Annotated[
        str | None,
        typer.Option(
            "--launch",
            metavar="NAME",
            help="Where to run, instead of the recipe's setting: local, ray, slurm, or a plugin's launcher.",
            autocompletion=completion.of_registry("launcher"),
        ),
    ] = None,
    address: Annotated[str | None, typer.Option("--address", help="The Ray cluster's dashboard (http://...).")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan; start nothing.")] = False,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            help="With --dry-run: look for this eval recipe's prompts in the data.",
            autocompletion=completion.recipes("eval", "study"),
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="With --dry-run: write the plan to this JSON file.")] = None,
    price: PriceTexts = None,
    force: Force = False,
    trust_remote_code: TrustRemoteCode = False,
    as_smoke: Annotated[
        bool, typer.Option("--smoke", help="Try the whole pipeline on CPU: a tiny random model, a few rows, stand-ins.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train a model from a recipe of SFT, preferences or RL.

    A method is trained on a model: `lrmctl train rl-guard --on qwen3-8b`; `lrmctl recipe list` has both.

    Examples:
        lrmctl train lab/rl --smoke
        lrmctl train rl-guard --on qwen3-8b --dry-run --price gpu_hour=2.5,currency=EUR
        lrmctl train mine.yaml --set optimizer.learning_rate=1e-6 --name lr-1e-6
    """
    sets = [*(sets or ()), *(["trust_remote_code=true"] if trust_remote_code else ())]
    if as_smoke:
        smoke(recipe, on, sets, model, runs_dir, as_json)
        return

    from lrmctl import api, console
    from lrmctl.api.training import launched
    from lrmctl.cli.views.live import training
    from lrmctl.training.plan import plan_training
    from lrmctl.training.resume import must_start_again

    loaded = launched(load(recipe, sets, "sft", "preference", "rl", on=on), launch, address)
    called, prices = name or loaded.recipe.name, prices_of(price, dry_run)
    if dry_run:
        if out is not None:
            from lrmctl.runs.output import check_output, object_with

            check_output(out, object_with("argv", "estimates"), force=force)
        plan = plan_training(
            loaded,
            runs_dir=runs_dir,
            name=name,
            model=model,
            resume=resume or from_start,
            restart="always" if from_start else "refuse",
            allow_missing=True,
        )
        show_plan(plan, against, out, as_json, prices, runs_dir)
        return
    arguments = ["train", recipe, *(["--on", on] if on else []), *(["--model", model] if model else [])]
    arguments += ["--name", called, "--resume"]
    arguments += [*(["--launch", launch] if launch else []), *(["--address", address] if address else [])]
    run_dir, command = runs_dir / called, command_line(*arguments, sets=sets, runs_dir=runs_dir)

    def again() -> str:
        return f"{command} --from-start" if must_start_again(run_dir, loaded.recipe) else command

    with (
        print_resume_command(again, run_dir.exists),
        training(called, f"writing to {run_dir}; if it breaks: {command}") as view,
    ):
        run = api.train(
            loaded,
            runs_dir=runs_dir,
            name=name,
            model=model,
            resume=resume,
            from_start=from_start,
            on_progress=view,
            on_sampling=view.sampling,
        )
    console.say(f"the model is in {run.model}")
    console.out.print(run.path, markup=False)
