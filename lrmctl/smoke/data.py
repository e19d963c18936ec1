"""Shrinks a data build for a smoke run: a tiny model, a few prompts, stand-in judges. The builder is kept."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from lrmctl.builders.tasks import completions, wanted
from lrmctl.data.pairs.intervene import placed_triggers
from lrmctl.data.sources import load_prompts
from lrmctl.errors import NotFoundError
from lrmctl.lexicons import get_lexicon
from lrmctl.recipe.load import LoadedRecipe
from lrmctl.recipe.schema.build import Intervene, Rewrite
from lrmctl.recipe.schema.engines import HfOptions
from lrmctl.recipe.schema.recipes import DataRecipe
from lrmctl.recipe.schema.sections import Mixed
from lrmctl.rows.traces import TraceRow
from lrmctl.smoke import replace_models
from lrmctl.smoke.model import tiny_model
from lrmctl.smoke.rows import RowKind
from lrmctl.smoke.shrink import ANY_REWARD, NEW_TOKENS, SAMPLES, ShrunkRecipe, changes_of, small_reward, small_sources
from lrmctl.smoke.stand_ins import NAME

_ROWS = 4
_ROOM_FOR_PAIRS = 96
"""New tokens of a continuation, which has to end; the lab's model then ends most of them."""
_THOUGHT = "This is the beginning of a thought, in place of a given one."


def shrink_data(loaded: LoadedRecipe, folder: Path, runs_dir: Path) -> ShrunkRecipe:
    """Shrink a data build to a few samples on CPU.

    Args:
        folder: where the tiny model and the rows are written.
        runs_dir: the folder of `run:NAME` models.
    """
    recipe = loaded.recipe
    assert isinstance(recipe, DataRecipe)
    model, replaced = tiny_model(recipe.model, folder / "tiny", runs_dir=runs_dir, seed=recipe.seed)
    pairs = isinstance(recipe.build, Intervene)
    words: dict[str, Any] = {
        "model": str(model),
        "batch_size": 8,
        "sampling.samples": SAMPLES,
        "sampling.max_new_tokens": _ROOM_FOR_PAIRS if pairs else NEW_TOKENS,
        **({} if pairs else {"keep.closed_thinking": False}),
        "keep.at_least": ANY_REWARD,
        "max_failed": 1.0,
    }
    if recipe.model != "lab:tiny":
        words |= {"template_args": {}, "thinking": None}
    if recipe.engine != HfOptions():
        words["engine"] = "hf"
        replaced.append(f"engine: {recipe.engine.use} -> hf")
    if recipe.prompts:
        what: RowKind = "demonstrations" if isinstance(recipe.build, Rewrite) else "prompts"
        words["prompts"], told = small_sources(recipe.prompts, folder / "prompts", what=what)
        replaced += told
    if recipe.keep.reward is not None:
        words |= small_reward(recipe.keep.reward, "keep.reward.components", replaced)
    words |= {**_judges(recipe, replaced), **_files(recipe, words, folder, replaced)}
    return ShrunkRecipe(loaded.override(words, "smoke"), changes_of(loaded, words), replaced)


def _judges(recipe: DataRecipe, replaced: list[str]) -> dict[str, Any]:
    made = []
    for one in recipe.keep.model_dump(mode="json")["judges"]:
        if replace_models.needs_a_model("judge", one["judge"]):
            replaced.append(f"judge {one['judge']} -> {NAME}")
            one = {**one, "judge": NAME, "judge_options": {}}
        made.append(one)
    return {"keep.judges": made} if made else {}


def _files(recipe: DataRecipe, words: dict[str, Any], folder: Path, replaced: list[str]) -> dict[str, Any]:
    """Small files in place of those that the builder names."""
    build: Any = recipe.build
    told: dict[str, Any] = {}
    if named := getattr(build, "of", None):
        told["build.of"] = str(_write(folder / "completions.jsonl", _completions(named, build, replaced)))
    if getattr(build, "thoughts", None):
        prompts = load_prompts([Mixed.model_validate(one) for one in words["prompts"]])
        rows = [{"id": prompt.id, "thought": _THOUGHT} for prompt in prompts]
        told |= {"build.thoughts": str(_write(folder / "thoughts.jsonl", rows)), "build.only": "any"}
        replaced.append("thoughts: the same harmless beginning for every prompt")
    return told


def _completions(named: str, build: Any, replaced: list[str]) -> list[dict[str, Any]]:
    """The first completions; synthetic ones if there are none yet."""
    label = getattr(build, "label", None)
    facts = {label: "safe"} if label else {}
    try:
        rows = [{"trace": one.trace.to_json(), **facts} for one in islice(_usable(named, build), _ROWS)]
        if rows:
            replaced.append(f"completions: the first {len(rows)} of {named}")
            return rows
        why = "none of them can be used"
    except NotFoundError as error:
        why = error.what
    replaced.append(f"completions: {named} -> {_ROWS} synthetic ones; {why}")
    thinking = f"I think. {_cue(build)}" if isinstance(build, Intervene) else "I think."
    harmful = {"n": _ROWS, "harmful": 1.0, "benign": 0.0, "reasoning": 0.0}
    prompts = load_prompts([Mixed.model_validate({"use": "lab-prompts", "options": harmful})])
    return [
        {
            "id": prompt.id,
            "messages": list(prompt.messages),
            "kind": prompt.kind,
            "meta": dict(prompt.meta),  # what the lab's judge goes by
            "thinking": thinking,
            "answer": "A reply.",
            **facts,
        }
        for prompt in prompts
    ]


def _usable(named: str, build: Any) -> Iterator[TraceRow]:
    """Completions that the builder draws for."""
    rows = completions(named)
    if not isinstance(build, Intervene):
        return iter(rows)
    found = placed_triggers(wanted(rows, build.only, Counter()), get_lexicon(build.cues), ("",), Counter())
    return (place.row for place in found)


def _cue(build: Intervene) -> str:
    return f"{get_lexicon(build.cues).words[0]}."


def _write(file: Path, rows: list[dict[str, Any]]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return file
