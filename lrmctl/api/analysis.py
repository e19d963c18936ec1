"""Analysis of the reasoning of an evaluated model."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lrmctl.api.recipes import AnyRecipeRef, Overrides, as_sets, chosen_recipe, runs_in
from lrmctl.api.targets import evaluated_model, run_folder


def analyze(
    run: str | Path,
    *,
    recipe: AnyRecipeRef | None = None,
    base: str | Path | None = None,
    overrides: Overrides | None = None,
    runs_dir: str | Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
    on_note: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Analyse how an evaluated run thinks, as `lrmctl analyze` does; also writes the results to its folder.

    Args:
        run: `run:NAME`, its name, or its folder.
        recipe: of kind study, whose analysis section is used. By default reflection and entropy, and the parts that
            `overrides` names.
        base: the analysed run of the base model. Its threshold of high entropy is used, its model scores the same
            tokens, and its unsafe thinking is the prefix in the recovery analysis.
        overrides: recipe keys to change, e.g. `{"analysis.entropy": False}`.
        on_progress: called with (done, total) of each part in turn.
        on_warning: called with what was left out; Python's warnings by default.
        on_note: called with the cost of a part that generates, before it begins.

    Returns:
        What was written, by file: `reflection`, and `transitions`, `entropy`, `early` and `recovery` if the recipe asks
        for them; without `entropy` if the model no longer exists and no engine is named.

    Raises:
        NotFoundError: no such run, one that was not evaluated, or an unknown lexicon.
    """
    from lrmctl.analysis import analyze

    with runs_in(runs_dir) as runs:
        sets = as_sets(overrides)
        loaded = chosen_recipe(recipe or "demo", "study", overrides=sets if recipe else ["analysis={}", *sets])
        section = loaded.recipe.analysis  # type: ignore[union-attr]  # only a study comes through
        folder = run_folder(str(run), runs)
        model = evaluated_model(folder)
        if model is None and section.entropy and section.engine is None:
            (on_warning or _warn)("the evaluated model no longer exists: no entropy")
        if recipe is None and not any(text.startswith("analysis.lexicons") for text in sets):
            section = section.model_copy(update={"lexicons": _lexicons(section.lexicons, model)})
        base_folder = run_folder(str(base), runs) if base is not None else None
        return analyze(
            model,
            folder,
            section,
            base_dir=base_folder,
            base_model=evaluated_model(base_folder) if base_folder is not None else None,
            on_progress=on_progress,
            tell=on_note,
        )


def _lexicons(named: tuple[str, ...], model: Path | None) -> tuple[str, ...]:
    """Word lists, without the lab's own if another model is analysed."""
    from lrmctl.lab import is_lab_model

    lab = model is not None and is_lab_model(model)
    return tuple(name for name in named if lab or name != "lab")


def _warn(sentence: str) -> None:
    warnings.warn(sentence, RuntimeWarning, stacklevel=3)
