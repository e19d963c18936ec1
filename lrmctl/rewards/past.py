"""Rollouts of the past as traces: rows of `rollouts.jsonl`, of rejection sampling, of an evaluation, or plain ones.

A row of rollouts has the text of its prompt but not its reference answer: that is looked up in the prompts that lie
beside it in the run folder. What a row does not have (token counts, irregular tags in older rows) is not guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from lrmctl.errors import LrmctlError, NotFoundError
from lrmctl.rewards.wire import decode_label
from lrmctl.runs.rows import numbered_rows
from lrmctl.types import Kind, Prompt, Trace

_FORM = "one row a line, as in rollouts.jsonl"
_PROMPTS = ("data/prompts.jsonl", "data/eval.jsonl")


@dataclass(frozen=True)
class Rollout:
    """One row: the trace, and what it was once rewarded with.

    Attributes:
        row: as it was read.
        components: earlier raw value by component; None where it failed or did not say.
        total: earlier reward before normalising, if there was one.
    """

    row: Mapping[str, Any]
    trace: Trace
    components: Mapping[str, float | None]
    total: float | None


def read_rollouts(path: Path) -> list[Rollout]:
    """All rollouts of a file; a torn last line and rows that came back without a prompt are left out.

    Raises:
        NotFoundError: no such file.
        LrmctlError: a row that is none of the known forms, with its line; no row at all.
    """
    if not path.is_file():
        raise NotFoundError(f"there is no file {path}")
    prompts = _prompts(path)
    found = [
        _rollout(row, prompts, f"{path}:{number}")
        for number, row in numbered_rows(path, _FORM)
        if row.get("prompt") or "trace" in row  # a call that the service could not read has no prompt
    ]
    if not found:
        raise LrmctlError("has no rollouts", str(path))
    return found


def _prompts(path: Path) -> dict[str, Prompt]:
    """The prompts of the run whose folder the file lies in, by id."""
    files = [folder / name for folder in (path.parent, path.parent.parent) for name in _PROMPTS]
    found: dict[str, Prompt] = {}
    for file in files:
        for _, row in numbered_rows(file, _FORM) if file.is_file() else ():
            try:
                prompt, _ = decode_label(str(row.get("label", "")))
            except LrmctlError:
                continue
            found.setdefault(prompt.id, prompt)
    return found


def _rollout(row: dict[str, Any], prompts: Mapping[str, Prompt], where: str) -> Rollout:
    try:
        trace = Trace.from_json(row["trace"]) if "trace" in row else _trace(row, _prompt(row, prompts, where))
    except (KeyError, TypeError, AttributeError) as error:
        fix = "a row has prompt, answer and kind, perhaps thinking and reference; or it is one of rollouts.jsonl"
        raise LrmctlError(f"is no rollout ({type(error).__name__}: {error})", where, fix) from None
    if trace.prompt.kind not in get_args(Kind):
        raise LrmctlError(f"{trace.prompt.kind!r} is no kind of prompt", where, f"one of {', '.join(get_args(Kind))}")
    components = row.get("components") or {}
    total = row.get("total", row.get("reward"))
    failed = bool(row.get("error"))
    return Rollout(row, trace, {n: c.get("value") for n, c in components.items()}, None if failed else total)


def _prompt(row: Mapping[str, Any], prompts: Mapping[str, Prompt], where: str) -> Prompt:
    known = prompts.get(str(row.get("prompt_id", "")))
    if known is not None and known.text == row["prompt"]:
        return known
    if isinstance(row["prompt"], Mapping):
        return Prompt.from_json(row["prompt"])
    rest = {key: row[key] for key in ("reference", "source", "meta") if row.get(key) is not None}
    return Prompt.user(str(row.get("prompt_id") or row["prompt"] or where), str(row["prompt"]), row["kind"], **rest)


def _trace(row: Mapping[str, Any], prompt: Prompt) -> Trace:
    """Thinking that is there and of which nothing else is said was closed."""
    thinking = str(row.get("thinking") or "")
    return Trace(
        prompt,
        thinking,
        str(row["answer"]),
        row.get("thinking_state") or ("closed" if thinking else "absent"),
        row.get("finish_reason") or "stop",
        int(row.get("thinking_tokens") or 0),
        int(row.get("answer_tokens") or 0),
        int(row.get("sample") or 0),
        tuple(row.get("irregular") or ()),
    )
