"""Whether a model was trained on its evaluation prompts: exact and near copies, by set.

The training data of a run is read from its own files, and from those of the runs that it started from. Knows no engine
and no judge.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl.errors import LrmctlError, NotFoundError
from lrmctl.rows.files import is_rows_file
from lrmctl.runs.damage import read_object
from lrmctl.runs.names import is_run_name, named_run
from lrmctl.types import Prompt

if TYPE_CHECKING:
    from lrmctl.data.leaks import TrainingTexts

EXAMPLES = 3
_SFT, _RL = "train.jsonl", "prompts.jsonl"


@dataclass(frozen=True)
class TrainingPrompts:
    """The prompts that a model was trained on.

    Attributes:
        name: its origin, e.g. `run:base`.
        texts: user messages of the training prompts, every turn.
        others: system messages and earlier answers in the training prompts.
        notes: what could not be read, one sentence each.
    """

    name: str
    texts: tuple[str, ...]
    notes: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class ContaminatedPrompt:
    """A prompt of an evaluation set and the training prompt that it repeats."""

    text: str
    repeats: str
    exact: bool


@dataclass(frozen=True)
class Overlap:
    """The overlap of one evaluation set with the training prompts.

    Attributes:
        n: prompts of the set.
        exact: of these, equal to a training prompt except for case, spaces and punctuation.
        near: of these, nearly equal to one, contained in one or containing one (see `lrmctl.data.leaks`).
        examples: near ones first.
        training: names of the training data.
        notes: training data that could not be read.
    """

    set: str
    n: int
    exact: int
    near: int
    examples: tuple[ContaminatedPrompt, ...]
    training: str
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "examples": [asdict(e) for e in self.examples], "notes": list(self.notes)}


def overlap(training: TrainingPrompts, sets: Mapping[str, Sequence[Prompt]]) -> list[Overlap]:
    """One entry per evaluation set, including sets without overlap."""
    from lrmctl.data.leaks import TrainingTexts

    trained = TrainingTexts(training.texts, training.others)
    return [_overlap(trained, training, name, prompts) for name, prompts in sets.items()]


def _overlap(trained: TrainingTexts, training: TrainingPrompts, name: str, asked: Sequence[Prompt]) -> Overlap:
    found = sorted(trained.find(asked), key=lambda match: match.exact)
    exact = sum(match.exact for match in found)
    shown = tuple(ContaminatedPrompt(asked[m.index].text, trained.texts[m.other], m.exact) for m in found[:EXAMPLES])
    return Overlap(name, len(asked), exact, len(found) - exact, shown, training.name, training.notes)


def sentences(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """A warning for each set that overlaps with the training data, and notes on data that could not be read.

    Args:
        found: as returned by `Overlap.to_json`.
    """
    said = [
        f"{one['exact'] + one['near']} of {one['n']} prompts of {one['set']} are among what the model was trained on "
        f"({one['training']}): {one['exact']} exactly, {one['near']} nearly"
        for one in found
        if one["exact"] + one["near"]
    ]
    return [*said, *dict.fromkeys(note for one in found for note in one.get("notes", ()))]


def training_of(named: str | Path | None, runs_dir: Path) -> TrainingPrompts | None:
    """The prompts that a model was trained on.

    Args:
        named: `run:NAME`, a run's folder, a file of training rows (see docs/rows.md), or an sft or rl recipe. A path
            object is a run's folder that may contain no training.
        runs_dir: folder of all runs, for runs given by name.

    Returns:
        None if nothing is named, or the path is a folder without training.

    Raises:
        NotFoundError, RecipeError: there is no such run, file or recipe, or it trains nothing.
    """
    if named is None:
        return None
    if isinstance(named, Path):
        return training_prompts(named, runs_dir) if _trained(named) else None
    by_name = [runs_dir / named_run(named)] if named.startswith("run:") or is_run_name(named) else []
    for folder in (*by_name, Path(named)):
        if _trained(folder):
            return training_prompts(folder, runs_dir, named)
    if named.startswith("run:") or Path(named).is_dir():
        raise NotFoundError(f"{named} has no training data", fix="name a run that was trained, a file or a recipe")
    if is_rows_file(named):
        return _of_file(named)
    return _of_recipe(named)


def training_prompts(folder: Path, runs_dir: Path | None = None, name: str = "") -> TrainingPrompts:
    """The prompts that a run was trained on, by its folder, including those of the runs before it."""
    texts: list[str] = []
    others: list[str] = []
    notes: list[str] = []
    names: list[str] = []
    for run in _lineage(folder, runs_dir or folder.parent):
        names.append(name if name and not names else f"run:{run.name}")
        texts += _of_run(run, notes, others)
    return TrainingPrompts(" and ".join(names), tuple(texts), tuple(notes), tuple(others))


def _trained(folder: Path) -> bool:
    return any((folder / "data" / name).is_file() for name in (_SFT, _RL))


def _lineage(folder: Path, runs_dir: Path) -> Iterator[Path]:
    """The run, and the runs that it and its parents started from."""
    seen: set[str] = set()
    while _trained(folder) and os.path.realpath(folder) not in seen:
        seen.add(os.path.realpath(folder))
        yield folder
        model = _lock(folder).get("model") or {}
        ref = str(model.get("ref") or "")
        folder = runs_dir / named_run(ref) if ref.startswith("run:") else Path(ref).parent


def _lock(folder: Path) -> Mapping[str, Any]:
    return read_object(folder / "lock.json")


def _of_run(folder: Path, notes: list[str], others: list[str]) -> list[str]:
    from lrmctl.data.leaks import other_texts, user_texts
    from lrmctl.runs.jsonl import read_jsonl

    asked = [_labelled(row["label"]) for row in read_jsonl(folder / "data" / _RL) if "label" in row]
    texts = [text for prompt in asked for text in user_texts(prompt)]
    rendered = [str(row["prompt"]) for row in read_jsonl(folder / "data" / _SFT) if "prompt" in row]
    others += [text for prompt in asked for text in other_texts(prompt)]
    others += rendered  # system messages and earlier answers, between the user turns
    return texts + (_unrendered(folder, rendered, notes) if rendered else [])


def _labelled(label: str) -> Prompt:
    from lrmctl.rewards.service.protocol import decode_label

    return decode_label(label)[0]


def _unrendered(folder: Path, rendered: Sequence[str], notes: list[str]) -> list[str]:
    """The user messages in prompts that a chat template rendered."""
    from lrmctl.models import load_tokenizer

    told = (_lock(folder).get("model") or {}).get("path") or ""
    model = next((p for p in (folder / "model", Path(str(told))) if (p / "tokenizer_config.json").is_file()), None)
    try:
        if model is None:
            raise LrmctlError("its model is gone")
        start, end = turn_marks(load_tokenizer(model))
    except LrmctlError as error:
        notes.append(f"the training prompts of {folder.name} are compared as they are rendered: {error.what}")
        return list(rendered)
    return [turn.partition(end)[0] for text in rendered for turn in text.split(start)[1:]]


def turn_marks(tokenizer: Any) -> tuple[str, str]:
    """The text that a chat template puts before and after a user message.

    Raises:
        LrmctlError: the template does not mark the user's turns.
    """
    from lrmctl.data.render import render_prompt

    words = ("\x02first\x03", "\x02second\x03", "\x02third\x03")
    roles = ("user", "assistant", "user")
    talk = tuple({"role": role, "content": word} for role, word in zip(roles, words, strict=True))
    text = render_prompt(tokenizer, Prompt("probe", talk, "benign"))
    if [text.count(word) for word in words] != [1, 1, 1]:
        raise LrmctlError("the chat template does not show what is said as it is")
    head, rest = text.split(words[0])
    between, rest = rest.split(words[1])
    again, tail = rest.split(words[2])
    start = _shared_start(head[::-1], again[::-1])[::-1]
    end = _shared_start(between, tail)
    if not start.strip() or not end:
        raise LrmctlError("the chat template does not mark the turns of the user")
    return start, end


def _shared_start(a: str, b: str) -> str:
    return "".join(x for x, _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))


def _of_file(named: str) -> TrainingPrompts:
    from lrmctl.data.sources import jsonl_source

    return _of_prompts(Path(named).name, jsonl_source(named, kind="harmful").prompts())  # the kind does not matter here


def _of_recipe(named: str) -> TrainingPrompts:
    from lrmctl.data.of_recipe import prompts_of
    from lrmctl.preflight.trainable import trainable
    from lrmctl.recipe.load import load_recipe

    loaded = load_recipe(named)
    _, recipe = trainable(loaded, None)
    return _of_prompts(recipe.name, prompts_of(recipe))


def _of_prompts(name: str, prompts: Sequence[Prompt]) -> TrainingPrompts:
    from lrmctl.data.leaks import other_texts, user_texts

    users = tuple(text for prompt in prompts for text in user_texts(prompt))
    return TrainingPrompts(name, users, others=tuple(text for prompt in prompts for text in other_texts(prompt)))
