"""`lrmctl eval`: safety and reasoning of a model or of a run's model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lrmctl.cli.common import RUNS, AsJson, RunsDir, Sets, TrustRemoteCode, command_line, goes_on_with, load, named

if TYPE_CHECKING:
    from lrmctl.evaluation.contamination import TrainingPrompts
    from lrmctl.recipe.schema.evaluation import EvalSection


def evaluate(
    target: Annotated[
        str,
        typer.Argument(
            help="A model (lab:tiny, a folder, a hub id), a run (run:NAME, its folder), or a server's name for a model."
        ),
    ],
    recipe: Annotated[
        str | None,
        typer.Option(
            help="An eval or study recipe: a file or a shipped name; only the lab's models have one by default."
        ),
    ] = None,
    sets: Sets = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the folder for a model's results; the model's own by default.")
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option(help="Keep this evaluation beside the run's own, as NAME@VARIANT; a decoding mode is one."),
    ] = None,
    rejudge: Annotated[
        bool, typer.Option("--rejudge", help="Judge and grade what is stored again; nothing is generated.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Put an evaluation by other settings aside, into its folder before-N.")
    ] = False,
    training: Annotated[
        str | None,
        typer.Option(help="What the model was trained on (a run or a recipe), to be looked for among the prompts."),
    ] = None,
    trust_remote_code: TrustRemoteCode = False,
    everything: Annotated[bool, typer.Option("--all", help="Show every metric.")] = False,
    runs_dir: RunsDir = RUNS,
    as_json: AsJson = False,
) -> None:
    """Evaluate safety and reasoning.

    Safety is judged in thinking and in answer. Results of a run go into its own folder.
    """
    from lrmctl import console
    from lrmctl.cli.targets import recipe_for, target_folder
    from lrmctl.cli.views.summary import show_summary
    from lrmctl.evaluation.run import evaluate, variant_of
    from lrmctl.metrics.remarks import undecided
    from lrmctl.preflight.unseen_refusals import unseen_refusals
    from lrmctl.runs.folder import eval_folder

    recipe = recipe or recipe_for(target, runs_dir)
    sets = [*(sets or ()), *(["evaluation.trust_remote_code=true"] if trust_remote_code else ())]
    loaded = load(recipe, sets, "eval", "study")
    console.show_own_warnings()
    asked = loaded.recipe
    assert asked.kind in ("eval", "study")  # `load` let nothing else through
    section = asked.evaluation
    if variant:
        named(variant, "--variant")
    folder, label = target_folder(target, runs_dir, named(name)), name or target
    variant = variant_of(section) if variant is None else variant
    for _, said in unseen_refusals(section):
        console.warn(said)
    if rejudge:
        summary = _rejudged(section, folder, variant)
    else:
        words = [*_words(name, variant, training), *(["--replace"] if replace else [])]
        again = command_line("eval", target, "--recipe", recipe, *words, sets=sets, runs_dir=runs_dir)
        with goes_on_with(again), console.progress(f"eval {label}") as on_progress:
            summary = evaluate(
                _model(target, section, runs_dir),
                section,
                folder,
                seed=asked.seed,
                label=label,
                variant=variant,
                training=_training(target, training, folder, runs_dir),
                replace=replace,
                on_progress=on_progress,
            )
        _warn(summary)
    console.say(f"results are in {eval_folder(folder, variant)}")
    show_summary(summary, as_json, everything)
    if any(undecided(entry) for entry in summary["sets"]):  # the reason stands beside the figures
        raise typer.Exit(console.FINDINGS)


def _rejudged(section: EvalSection, folder: Path, variant: str) -> dict[str, Any]:
    from lrmctl import console
    from lrmctl.evaluation import rejudge

    console.say("judging what is stored again")
    return rejudge(section, folder, variant=variant)


def _words(name: str | None, variant: str, training: str | None) -> list[str]:
    options = (("--name", name), ("--variant", variant), ("--training", training))
    return [word for option, value in options if value for word in (option, value)]


def _model(target: str, section: EvalSection, runs_dir: Path) -> Path | str:
    """The checkpoint's folder; where a server is asked, its name for the model."""
    from lrmctl.cli.targets import target_model
    from lrmctl.recipe.schema.generators import OpenAiGenerator

    engine = section.engine
    if isinstance(engine, OpenAiGenerator):
        return engine.model or target
    return target_model(target, runs_dir, section.trust_remote_code)


def _training(target: str, named: str | None, folder: Path, runs_dir: Path) -> TrainingPrompts | None:
    """What the model was trained on: as named, or what the run says of itself."""
    from lrmctl.evaluation.contamination import training_of

    return training_of(named or (folder if target.startswith("run:") else None), runs_dir)


def _warn(summary: dict[str, Any]) -> None:
    from lrmctl import console
    from lrmctl.evaluation.contamination import sentences

    for warning in (*summary["warnings"], *sentences(summary["overlap"])):
        console.warn(warning)
