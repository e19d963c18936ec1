"""Checks of a recipe against this machine: local files, the model's maximum length, added benchmarks.

Downloads nothing and loads no model. What is not on this machine is not checked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from lrmctl.errors import LrmctlError
from lrmctl.preflight.positions import position_problems
from lrmctl.recipe.load import LoadedRecipe
from lrmctl.recipe.named_plugins import named_plugins
from lrmctl.recipe.problems import Problem
from lrmctl.recipe.schema.evaluation import EvalSection, SafetySet
from lrmctl.recipe.schema.preference import PreferenceRecipe
from lrmctl.recipe.schema.recipes import DataRecipe, EvalRecipe, RlRecipe, SftRecipe, StudyRecipe
from lrmctl.recipe.yaml import KeyPath, dotted

_FILES = ("path", "file")
_MAX_BYTES = 64 * 2**20
"""Largest file, in bytes, that is read to check it; of a larger one only the existence is checked."""


def local_problems(loaded: LoadedRecipe, runs_dir: Path | None = None) -> list[Problem]:
    """Missing or unreadable local files, lengths beyond the model's maximum, and a note on added prompts."""
    here = (*_files(loaded.recipe), *_joins(loaded.recipe), *_fitted_judges(loaded), *_thoughts(loaded.recipe))
    return [*position_problems(loaded, runs_dir), *here]


def _fitted_judges(loaded: LoadedRecipe) -> Iterator[Problem]:
    """A note on classifiers that have not been fitted here yet; a recipe is often checked before its judges exist."""
    missing: dict[str, KeyPath] = {}
    for named in named_plugins(loaded):
        if (named.group, named.name) == ("judge", "fitted"):
            given = named.options.get("folder")
            for folder in [given] if isinstance(given, str) else given or ():
                if not (Path(str(folder)) / "judge.json").is_file():
                    missing.setdefault(str(folder), named.path)
    if missing:
        what = f"there is no fitted judge in {', '.join(missing)}: fit it before the run, with `lrmctl judge fit`"
        yield Problem(dotted(next(iter(missing.values()))), what, note=True)


def _thoughts(recipe: Any) -> Iterator[Problem]:
    """A note on given thoughts that have not been made yet; a recipe is often checked before."""
    for i, entry in enumerate(recipe.prefill if isinstance(recipe, RlRecipe) else ()):
        if entry.thoughts is not None and not Path(entry.thoughts).expanduser().exists():
            what = f"there are no thoughts in {entry.thoughts}: make them before the run (docs/training.md)"
            yield Problem(f"prefill.{i}.thoughts", what, note=True)


def _files(recipe: Any) -> Iterator[Problem]:
    for key, use, what in _uses(recipe):
        given = next((use.options[name] for name in _FILES if isinstance(use.options.get(name), str)), None)
        if given is None:
            continue
        try:
            _read(given, use, what, _may_be_off(recipe, use))
        except LrmctlError as error:
            where = f" ({error.where})" if error.where else ""
            yield Problem(f"{key}.options", f"{error.what}{where}", error.fix)


def _uses(recipe: Any) -> Iterator[tuple[str, Any, str]]:
    """Every benchmark and source that a recipe names: key, section, and what is read from it."""
    if isinstance(recipe, (EvalRecipe, StudyRecipe)):
        yield from ((f"evaluation.safety.{i}", use, "benchmark") for i, use in enumerate(recipe.evaluation.safety))
    elif isinstance(recipe, RlRecipe):
        yield from ((f"prompts.{i}", use, "prompts") for i, use in enumerate(recipe.prompts))
        held = recipe.evaluation.prompts if recipe.evaluation else ()
        yield from ((f"evaluation.prompts.{i}", use, "prompts") for i, use in enumerate(held))
    elif isinstance(recipe, PreferenceRecipe):
        yield from ((f"data.sources.{i}", use, "pairs") for i, use in enumerate(recipe.data.sources))
    elif isinstance(recipe, DataRecipe):
        yield from ((f"prompts.{i}", use, "prompts") for i, use in enumerate(recipe.prompts))
    elif isinstance(recipe, SftRecipe):
        yield from ((f"data.sources.{i}", use, "demonstrations") for i, use in enumerate(recipe.data.sources))
        asked = recipe.data.rejection.prompts if recipe.data.rejection else ()
        yield from ((f"data.rejection.prompts.{i}", use, "prompts") for i, use in enumerate(asked))


def _may_be_off(recipe: Any, use: Any) -> bool:
    """Whether the recipe may turn thinking off for a source; the chat template decides when rows are rendered."""
    settings = (getattr(each, key, None) for each in (recipe, use) for key in ("thinking", "template_args"))
    return any(settings)


def _read(file: str, use: Any, what: str, may_be_off: bool) -> None:
    from lrmctl.errors import NotFoundError
    from lrmctl.hooks import registry

    path = Path(file).expanduser()
    if not path.exists():
        raise NotFoundError(
            f"there is no file {file}", fix="relative paths start at the recipe's folder or the working folder"
        )
    if path.is_file() and path.stat().st_size > _MAX_BYTES:
        return
    if what == "benchmark":
        registry.make("benchmark", use.use, **use.options).load()
        return
    source = registry.make("source", use.use, **use.options)
    if may_be_off and hasattr(source, "without_thinking"):
        source.without_thinking = True
    getattr(source, what)()


def _joins(recipe: Any) -> Iterator[Problem]:
    """A note if an over-refusal benchmark is added because none of the recipe's has benign prompts."""
    if not isinstance(recipe, (EvalRecipe, StudyRecipe)):
        return
    if use := added_over_refusal_set(recipe.evaluation, _kinds(recipe.evaluation)):
        yield Problem("evaluation.safety", added_set_note(use), note=True)


def added_over_refusal_set(section: EvalSection, kinds: Collection[str]) -> dict[str, Any] | None:
    """The over-refusal benchmark added for these prompt kinds, named as in a recipe; None if none is added."""
    if not (section.over_refusal and "harmful" in kinds and "benign" not in kinds):
        return None
    return over_refusal_set_for(section.safety[0])


def over_refusal_set_for(like: SafetySet) -> dict[str, Any]:
    """XSTest's safe prompts, or for the lab its benign prompts."""
    if like.use == "lab-harmful":
        return {"use": "lab-benign", "options": like.options}
    from lrmctl.benchmarks import default_over_refusal

    return default_over_refusal()


def added_set_note(use: Mapping[str, Any]) -> str:
    """The note about the added benchmark."""
    named = "/".join(str(part) for part in (use["use"], use.get("options", {}).get("split")) if part)
    return (
        f"no set has benign prompts: those of {named} are asked too, because safety alone is reached by refusing "
        "everything; `over_refusal: false` leaves them out"
    )


def _kinds(section: Any) -> set[str]:
    from lrmctl.hooks import registry

    found: set[str] = set()
    for use in section.safety:
        try:
            found |= set(registry.make("benchmark", use.use, **use.options).kinds)
        except LrmctlError:  # reported by the check of names and options
            continue
    return found
