"""Evaluating one model."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lrmctl.api.recipes import AnyRecipeRef, Overrides, chosen_recipe, runs_in
from lrmctl.api.results import Evaluation
from lrmctl.api.targets import recipe_for, run_folder, target_folder, target_model
from lrmctl.runs.folder import eval_folder
from lrmctl.runs.names import check_name

if TYPE_CHECKING:
    from lrmctl.evaluation.contamination import TrainingPrompts
    from lrmctl.recipe.schema.evaluation import EvalSection


def evaluate(
    target: str | Path,
    recipe: AnyRecipeRef | None = None,
    *,
    overrides: Overrides | None = None,
    name: str | None = None,
    variant: str | None = None,
    rejudge: bool = False,
    replace: bool = False,
    training: str | None = None,
    runs_dir: str | Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
) -> Evaluation:
    """Measure the safety of thinking and answers, over-refusal and reasoning, as `lrmctl eval` does.

    Args:
        target: a model (`lab:tiny`, a folder, a hub id), a run (`run:NAME`, its folder), or a model's name on a server.
            Results of a run go into its own folder.
        recipe: of kind eval or study; only the lab's models have a default.
        overrides: recipe keys to change, e.g. `{"evaluation.limit": 20}`.
        name: name of the folder for a model's results; the model's own by default.
        variant: keep this evaluation as a variant beside the run's own; by default named after the decoding mode.
        rejudge: judge and grade the stored completions again; nothing is generated.
        replace: move an evaluation with other settings to its folder `before-N`.
        training: the model's training data (a run or a recipe), to be searched for evaluation prompts.
        runs_dir: folder of all runs; `LRMCTL_RUNS`, else `runs`, by default.
        on_progress: called with (completions done, completions in all).
        on_warning: called with cautions about the results; Python's warnings by default.

    Raises:
        RunExistsError: an evaluation with other settings, or of another model, exists; see `replace`.
        NotFoundError, RecipeError, PluginError: a model, set, judge or task that cannot be made.
        JudgeError: a judge failed on every trace of a set.
        LrmctlError: more completions failed than the recipe tolerates; the others are stored.
    """
    from lrmctl.evaluation import rejudge as judge_again
    from lrmctl.evaluation.contamination import sentences
    from lrmctl.evaluation.run import evaluate, variant_of
    from lrmctl.preflight.unseen_refusals import unseen_refusals
    from lrmctl.recipe.requires import check_requirements
    from lrmctl.runs.tracking import TrackerUse

    target, warn = str(target), on_warning or _warn
    with runs_in(runs_dir) as runs:
        loaded = chosen_recipe(recipe or recipe_for(target, runs), "eval", "study", overrides=overrides)
        check_requirements(loaded)
        asked = loaded.recipe
        assert asked.kind in ("eval", "study")  # no other kind is loaded
        section = asked.evaluation
        for _, sentence in unseen_refusals(section):
            warn(sentence)
        if variant:
            check_name(variant, "--variant")
        folder = target_folder(target, runs, check_name(name, "--name") if name is not None else None)
        chosen = variant_of(section) if variant is None else variant
        if rejudge:
            judge_again(section, folder, variant=chosen)
            return Evaluation(eval_folder(folder, chosen))
        summary = evaluate(
            _model(target, section, runs),
            section,
            folder,
            seed=asked.seed,
            label=name or target,
            variant=chosen,
            training=_training(target, training, folder, runs),
            replace=replace,
            trackers=[TrackerUse(one.use, one.options) for one in asked.trackers],
            on_progress=on_progress,
        )
        for sentence in (*summary["warnings"], *sentences(summary["overlap"])):
            warn(sentence)
        return Evaluation(eval_folder(folder, chosen))


def evaluate_checkpoints(
    run: str | Path,
    recipe: AnyRecipeRef | None = None,
    *,
    checkpoints: str = "all",
    overrides: Overrides | None = None,
    replace: bool = False,
    runs_dir: str | Path | None = None,
    on_checkpoint: Callable[[int, Evaluation | None], None] = lambda _step, _done: None,
    on_progress: Callable[[int, int], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
) -> dict[int, Evaluation]:
    """Evaluate the models that a training run saved on its way, as `lrmctl eval RUN --checkpoints` does.

    Each is a variant of the run, `RUN@step-N`, on the same prompts; what is finished is not generated again.

    Args:
        run: `run:NAME`, its name, or its folder.
        recipe, overrides, replace, runs_dir, on_progress, on_warning: as for `evaluate`.
        checkpoints: `all`, or `every:N` for steps that N divides.
        on_checkpoint: called with (step, None) before each evaluation, and with its result after it.

    Returns:
        The evaluations by step.

    Raises:
        NotFoundError: no such run, or it kept no model of such a step.
        LrmctlError: `checkpoints` is neither; and as `evaluate`.
    """
    from lrmctl.evaluation.contamination import sentences, training_of
    from lrmctl.evaluation.run import evaluate
    from lrmctl.runs.checkpoint_models import chosen_checkpoints, step_variant

    warn, done = on_warning or _warn, dict[int, Evaluation]()
    with runs_in(runs_dir) as runs:
        folder = run_folder(str(run), runs)
        chosen = chosen_checkpoints(folder, checkpoints)
        loaded = chosen_recipe(recipe or recipe_for(str(run), runs), "eval", "study", overrides=overrides)
        asked = loaded.recipe
        assert asked.kind in ("eval", "study")  # no other kind is loaded
        training = training_of(folder, runs)
        for step, model in chosen.items():
            on_checkpoint(step, None)
            name = step_variant(step)
            summary = evaluate(
                model,
                asked.evaluation,
                folder,
                seed=asked.seed,
                label=f"{run}@{name}",
                variant=name,
                training=training,
                replace=replace,
                on_progress=on_progress,
            )
            for sentence in (*summary["warnings"], *sentences(summary["overlap"])):
                warn(f"{name}: {sentence}")
            done[step] = Evaluation(eval_folder(folder, name))
            on_checkpoint(step, done[step])
    return done


def _model(target: str, section: EvalSection, runs_dir: Path) -> Path | str:
    """The checkpoint's folder; for a server, the model's name there."""
    from lrmctl.models import is_local_model
    from lrmctl.recipe.schema.engines import OpenAiOptions

    engine = section.engine
    if isinstance(engine, OpenAiOptions):
        return engine.model or target
    if not engine.reads_weights and not is_local_model(target):
        return target
    return target_model(target, runs_dir, section.trust_remote_code)


def _training(target: str, named: str | None, folder: Path, runs_dir: Path) -> TrainingPrompts | None:
    """The model's training data: as given, or as recorded in the run."""
    from lrmctl.evaluation.contamination import training_of

    return training_of(named or (folder if target.startswith("run:") else None), runs_dir)


def _warn(sentence: str) -> None:
    warnings.warn(sentence, RuntimeWarning, stacklevel=3)
