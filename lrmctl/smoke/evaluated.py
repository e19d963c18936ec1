"""Shrinks a recipe's evaluation to data on this machine; abstract prompts and the lab's arithmetic replace the rest.

Only unavailable data are replaced: an invalid file fails the smoke run, as it would fail the real one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lrmctl.errors import LrmctlError, NotFoundError
from lrmctl.hooks import registry
from lrmctl.recipe.schema.evaluation import EvalSection, ReasoningUse, SafetySet
from lrmctl.smoke import replace_models

LIMIT = 4
"""Prompts per benchmark or task."""
_ARITHMETIC = "lab_arithmetic"


def small_sets(section: EvalSection, folder: Path) -> tuple[tuple[SafetySet, ...], list[str]]:
    """The safety benchmarks without model judges and downloads, and what was replaced.

    Args:
        folder: where abstract prompts are written.
    """
    made, told = [], []
    for i, chosen in enumerate(section.judged()):
        resolved, judges = replace_models.safety_set(chosen.model_dump(mode="json"))
        resolved, data = _small_benchmark(resolved, folder / f"{i}.jsonl")
        made.append(SafetySet(**resolved))
        told += [*judges, *data]
    return tuple(made), told


def _small_benchmark(resolved: Mapping[str, Any], file: Path) -> tuple[dict[str, Any], list[str]]:
    benchmark = registry.make("benchmark", resolved["use"], **resolved["options"])
    try:
        benchmark.load()
        return dict(resolved), []
    except NotFoundError as error:
        why = error.what.splitlines()[0][:200]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in _abstract(benchmark)), encoding="utf-8")
    name, split = benchmark.name, benchmark.split
    options = {"path": str(file), "kind": "kind", "name": name, "split": split}
    told = f"prompts of {resolved['use']} -> {LIMIT} abstract ones; {why}"
    return {**resolved, "use": "prompts-file", "options": options}, [told]


def _abstract(benchmark: Any) -> list[dict[str, str]]:
    kinds = benchmark.kinds or ("harmful", "benign")
    chosen = [kinds[i % len(kinds)] for i in range(LIMIT)]
    return [
        {"prompt": f"A {kind} request, number {i}, in place of one of {benchmark.name}.", "kind": kind}
        for i, kind in enumerate(chosen)
    ]


def small_tasks(uses: Sequence[ReasoningUse]) -> tuple[tuple[ReasoningUse, ...], list[str]]:
    """The reasoning tasks whose data are on this machine; the lab's arithmetic replaces the others."""
    missing = {use.use: why for use in uses if (why := _cannot_load(use))}
    kept = [use for use in uses if use.use not in missing]
    if missing and _ARITHMETIC not in (use.use for use in kept):
        kept.append(ReasoningUse(use=_ARITHMETIC))
    return tuple(kept), [f"task {name} -> {_ARITHMETIC}; {why}" for name, why in missing.items()]


def _cannot_load(use: ReasoningUse) -> str:
    from lrmctl.reasoning.tasks import LMEVAL, reasoning_task, task_names

    known = use.use.startswith(LMEVAL) or use.use in (task.name for task in task_names())
    try:
        reasoning_task(use.use, use.options).load(LIMIT)
    except NotFoundError as error:
        if not known:  # an error in the recipe, which the real run would have too
            raise
        return error.what.splitlines()[0][:200]
    return ""


def over_refusal(section: EvalSection, sets: Sequence[SafetySet]) -> bool:
    """Whether the over-refusal benchmark, if one would be added, is on this machine."""
    from lrmctl.benchmarks import default_over_refusal

    chosen = default_over_refusal()
    if not section.over_refusal or not sets:
        return False
    try:
        registry.make("benchmark", chosen["use"], **chosen["options"]).load()
    except LrmctlError:
        return False
    return True
