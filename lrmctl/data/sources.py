"""Training data by name: prompts for RL, demonstrations for SFT, from plugins, local files or the hub.

A row of a file or hub data set is either a prompt (`prompt` or `messages`, with `kind`) or a demonstration
(the same with `thinking` and `answer`, or with `response` holding both around think tags; or `messages` that end with
such a response).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lrmctl.data.mix import mix
from lrmctl.errors import NotFoundError, RecipeError
from lrmctl.trace import split_text
from lrmctl.types import Prompt

if TYPE_CHECKING:
    from lrmctl.recipe.sections import Mixed, Use

KINDS = ("harmful", "benign", "reasoning")
T = TypeVar("T")


@dataclass(frozen=True)
class Demonstration:
    """A prompt and the thinking and answer to imitate."""

    prompt: Prompt
    thinking: str
    answer: str


def load_prompts(uses: Sequence[Mixed | Use], *, seed: int = 0) -> list[Prompt]:
    """Prompts of several sources: all in order, or mixed by the sources' weights."""
    return _mixed([_make(use).prompts() for use in uses], uses, None, seed)


def load_demonstrations(
    uses: Sequence[Mixed | Use], *, total: int | None = None, turns: str = "last", seed: int = 0
) -> list[Demonstration]:
    """Demonstrations of several sources, in order or mixed.

    Args:
        total: rows of a weighted mixture.
        turns: `last`, or `all` for one demonstration of every response in a conversation.
    """
    groups = [_make(use).demonstrations() for use in uses]
    if turns == "all":
        groups = [[turn for row in group for turn in every_turn(row)] for group in groups]
    return _mixed(groups, uses, total, seed)


def provenance(uses: Sequence[Use]) -> list[dict[str, Any]]:
    """Where the rows of each source came from, as far as it says: licence, url, revision, sha256, numbers of rows."""
    told = []
    for use in uses:
        source = _make(use)
        facts: Mapping[str, Any] = source.provenance() if hasattr(source, "provenance") else {}
        told.append({"use": use.use, "options": use.options, **facts})
    return told


def every_turn(row: Demonstration) -> Iterator[Demonstration]:
    """A demonstration of each response in a conversation; past responses without closed thinking are left out."""
    messages = row.prompt.messages
    for i, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        split = split_text(message["content"], opened=False)
        if split.state == "closed":
            prompt = replace(row.prompt, id=f"{row.prompt.id}-turn{i}", messages=messages[:i])
            yield Demonstration(prompt, split.thinking, split.answer)
    yield Demonstration(row.prompt, row.thinking, row.answer)


def _mixed(groups: list[list[T]], uses: Sequence[Mixed | Use], total: int | None, seed: int) -> list[T]:
    return mix(groups, [getattr(use, "weight", None) for use in uses], total=total, seed=seed)


def _make(use: Use) -> Any:
    from lrmctl.hooks import registry

    return registry.make("source", use.use, **use.options)


class RowSource:
    """A source over plain rows; `where` names a row in errors."""

    def __init__(
        self,
        rows: Sequence[Mapping[str, Any]],
        name: str,
        kind: str | None = None,
        origin: Mapping[str, Any] | None = None,
    ) -> None:
        self._rows, self._name, self._kind, self._origin = rows, name, kind, origin or {}

    def provenance(self) -> dict[str, Any]:
        """Where the rows came from, for the lock."""
        return {**self._origin, "rows": len(self._rows)}

    def prompts(self) -> list[Prompt]:
        return [self._prompt(i, row) for i, row in enumerate(self._rows)]

    def demonstrations(self) -> list[Demonstration]:
        return [self._demonstration(i, row) for i, row in enumerate(self._rows)]

    def _where(self, i: int) -> str:
        return f"{self._name}:{i + 1}"

    def _prompt(self, i: int, row: Mapping[str, Any]) -> Prompt:
        kind = row.get("kind", self._kind)
        if kind not in KINDS:
            raise RecipeError(
                f"the row's kind is {kind!r}", self._where(i), f"give each row, or the source, a `kind:` of {KINDS}"
            )
        text = row.get("prompt", row.get("question"))
        messages = row.get("messages") or ([{"role": "user", "content": text}] if isinstance(text, str) else None)
        if not messages:
            raise RecipeError("the row has no prompt", self._where(i), "add `prompt` (text) or `messages` (a list)")
        known = {"id", "kind", "prompt", "question", "messages", "reference", "thinking", "answer", "response"}
        return Prompt(
            id=str(row.get("id", f"{self._name}-{i}")),
            messages=tuple({"role": m["role"], "content": m["content"]} for m in messages),
            kind=kind,
            source=self._name,
            reference=row.get("reference"),
            meta={k: v for k, v in row.items() if k not in known},
        )

    def _demonstration(self, i: int, row: Mapping[str, Any]) -> Demonstration:
        messages = row.get("messages") or []
        if messages and messages[-1]["role"] == "assistant":  # a conversation that ends with the response
            row = {**row, "messages": messages[:-1], "response": messages[-1]["content"]}
        prompt = self._prompt(i, row)
        if isinstance(row.get("thinking"), str) and isinstance(row.get("answer"), str):
            return Demonstration(prompt, row["thinking"], row["answer"])
        split = split_text(str(row.get("response", "")), opened=False)
        if split.state != "closed":
            raise RecipeError(
                f"the response's thinking is {split.state}",
                self._where(i),
                "give `thinking` and `answer`, or a `response` of the form <think>...</think> answer",
            )
        return Demonstration(prompt, split.thinking, split.answer)


def jsonl_source(path: str, kind: str | None = None, n: int | None = None) -> RowSource:
    """Rows of a local `.jsonl` file (one object per line) or `.json` file (one list).

    Args:
        kind: for rows that do not say theirs.
        n: the first n rows only.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise NotFoundError(f"no data file {path}", fix="check `options: {path: ...}` of the source")
    text = file.read_text(encoding="utf-8")
    origin = {"file": str(path), "sha256": hashlib.sha256(text.encode()).hexdigest(), "sha256_of": "file"}
    if file.suffix == ".json":
        return RowSource(json.loads(text)[:n], str(path), kind, origin)
    return RowSource([json.loads(line) for line in text.splitlines() if line.strip()][:n], str(path), kind, origin)


def hub_source(
    id: str, split: str = "train", config: str | None = None, kind: str | None = None, n: int | None = None
) -> RowSource:
    """Rows of a hub data set, or of a local folder that the datasets library can load."""
    from datasets import load_dataset

    try:
        rows = load_dataset(id, config, split=split)
    except Exception as error:  # the library raises many unrelated types for "cannot get it"
        raise NotFoundError(
            f"cannot load data set {id!r}: {error}", fix="check the id and your access, or give a local path"
        ) from error
    chosen = [dict(row) for row in (rows.select(range(min(n, len(rows)))) if n else rows)]
    return RowSource(chosen, id, kind, {"hub": id, "config": config, "split": split})
