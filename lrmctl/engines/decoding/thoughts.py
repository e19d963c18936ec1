"""Thoughts to be forced on a model: one for all prompts, or one per prompt out of a file. Knows no engine.

plain rows              {"id" or "prompt", "thought" or "thinking"}
rows of an evaluation   {"trace": {...}, "thinking": verdict, ...}       runs/*/eval/rows.jsonl
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

from lrmctl.engines.decoding.partial import first_tokens
from lrmctl.errors import LrmctlError, NotFoundError
from lrmctl.recipe.schema.decoding import Prefix
from lrmctl.rows.files import read_rows
from lrmctl.rows.located import LocatedRow
from lrmctl.rows.prompts import asked_of
from lrmctl.rows.values import count_of, id_of, missing
from lrmctl.types import Prompt

_SHAPES = 'give rows of {"id" or "prompt", "thought"}, or the rows.jsonl of an evaluation'


@dataclass
class ForcedThoughts:
    """Thoughts by prompt text or prompt id; `every` is used for prompts that have none.

    Attributes:
        by_text: a prompt's last message -> thought; tried first, since ids are unique only within their data set.
    """

    by_text: dict[str, str] = field(default_factory=dict)
    by_id: dict[str, str] = field(default_factory=dict)
    every: str | None = None

    def of(self, prompt: Prompt) -> str | None:
        """The complete thought for a prompt; None if there is none."""
        return self.by_text.get(prompt.text, self.by_id.get(prompt.id, self.every))


def open_thoughts(how: Prefix) -> ForcedThoughts:
    """The thoughts that a recipe names.

    Raises:
        NotFoundError: there is no such file.
        LrmctlError: it holds no thoughts, or none that are wanted.
    """
    if how.thoughts is None:
        return ForcedThoughts(every=how.thought)
    file = _file(how.thoughts)
    found = ForcedThoughts()
    best: dict[str, int] = {}
    for text, id, thought, sample in _wanted(file, how):
        known, name = (found.by_text, text) if text else (found.by_id, id)
        if name not in known or sample < best[name]:
            known[name], best[name] = thought, sample
    if not best:
        raise LrmctlError(f"there is no thought in it that is {how.only}", str(file), _SHAPES)
    return found


def beginning(thought: str, how: Prefix, tokenizer: Any) -> str:
    """The part of a thought that is forced. A thought from a file is complete, and ends as it did before its closing
    tag: with a line break, which may share its last token."""
    whole = thought if how.thoughts is None else f"{thought}\n"
    ids = tokenizer.encode(whole, add_special_tokens=False)
    count = len(ids) if how.tokens is None else how.tokens
    if how.share is not None:
        count = ceil(how.share * len(ids))
    return whole if count >= len(ids) else first_tokens(ids, count, tokenizer)


def _file(named: str) -> Path:
    path = Path(named).expanduser()
    file = path / "eval" / "rows.jsonl" if path.is_dir() else path
    if not file.is_file():
        raise NotFoundError(f"there is no file of thoughts {file}", "decoding.thoughts", _SHAPES)
    return file


def _wanted(file: Path, how: Prefix) -> Iterator[tuple[str, str, str, int]]:
    """For each matching row: the prompt's text, its id, the thought, and the sample index."""
    for row in read_rows(file, torn=True):
        try:
            text, id, thought, sample = _parts(row)
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise LrmctlError(f"is no thought: lacks {error}", row.where, _SHAPES) from error
        if thought and _fits(row, how) and how.sample in (None, sample):
            yield text, id, thought, sample


def _parts(row: LocatedRow) -> tuple[str, str, str, int]:
    if trace := row.get("trace"):
        return trace["prompt"]["messages"][-1]["content"], "", trace["thinking"].strip(), trace.get("sample", 0)
    text = "" if missing(row.get("prompt")) and missing(row.get("messages")) else _asked(row)
    id = id_of(row, "id", "prompt_id") or ""
    thought = row["thought"] if "thought" in row else row["thinking"]
    if not isinstance(thought, str) or not (text or id):
        raise KeyError("id")
    return text, id, thought.strip(), count_of(row, "sample")


def _asked(row: LocatedRow) -> str:
    return asked_of(row).messages[-1].text


def _fits(row: Mapping[str, Any], how: Prefix) -> bool:
    if how.only == "any":
        return True
    verdict = row.get("thinking")
    return isinstance(verdict, dict) and verdict.get("safe") is (how.only == "safe")
