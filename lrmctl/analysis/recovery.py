"""Forced-prefix recovery: how safe the answers are after the beginning of an unsafe thought, against its length.

The first tokens of an unsafe thought are put into the model's mouth and it thinks on from there, as SafeKey's
prefilling attack does with 20 tokens. A model whose safety lives in its first sentences loses it here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lrmctl.analysis.cells import share
from lrmctl.analysis.continuations import ForcedThought, Progress, go_on
from lrmctl.engines.base import Engine
from lrmctl.engines.decoding.partial import first_tokens
from lrmctl.errors import JudgeError
from lrmctl.hooks.specs import Judge
from lrmctl.judges.base import judge_part
from lrmctl.runs.eval_rows import EvalRow
from lrmctl.types import Prompt, Trace, Verdict

FORMAT = 1


class UnsafeThought(NamedTuple):
    """A thought whose beginning is forced on the model, and the prompt and set that it belongs to."""

    set: str
    prompt: Prompt
    thinking: str
    temperature: float


class Recovered(NamedTuple):
    """What the model did after the first `tokens` tokens of a thought, by sample."""

    thought: UnsafeThought
    tokens: int
    traces: list[Trace]
    verdicts: list[Verdict]


def unsafe_thoughts(rows: Sequence[EvalRow], source: Sequence[EvalRow], most: int) -> list[UnsafeThought]:
    """For each harmful prompt of `rows`, by set and temperature, an unsafe thought about it out of `source`.

    Args:
        source: rows whose thinking was judged; of several unsafe thoughts the one of the first sample is taken.
        most: thoughts at most, in the order of the prompts.
    """
    unsafe: dict[str, EvalRow] = {}
    for row in source:
        if row.thinking is not None and row.thinking.outcome == "unsafe" and row.trace.thinking.strip():
            known = unsafe.setdefault(row.trace.prompt.text, row)
            if row.trace.sample < known.trace.sample:
                unsafe[row.trace.prompt.text] = row
    found: dict[tuple[str, str, float], UnsafeThought] = {}
    for row in rows:
        prompt = row.trace.prompt
        if prompt.kind == "harmful" and (of := unsafe.get(prompt.text)) is not None:
            key = row.set, prompt.id, row.temperature
            found.setdefault(key, UnsafeThought(row.set, prompt, of.trace.thinking, row.temperature))
    return list(found.values())[:most]


def recover(
    engine: Engine,
    judge: Judge,
    thoughts: Sequence[UnsafeThought],
    tokens: Sequence[int],
    store: Path,
    *,
    samples: int,
    temperature: float | None,
    max_new_tokens: int,
    on_progress: Progress | None = None,
) -> list[Recovered]:
    """Answers after the first tokens of each thought; a thought that has fewer is left out there.

    Raises:
        JudgeError: the judge failed on every answer.
    """
    wanted = [(thought, n) for thought in thoughts for n in sorted(set(tokens))]
    asked = [(thought, n, text) for thought, n in wanted if (text := _first(engine, thought, n)) is not None]
    forced = [
        ForcedThought(thought.prompt, text, False, thought.temperature if temperature is None else temperature)
        for thought, _, text in asked
    ]
    traces = go_on(engine, forced, store, samples=samples, max_new_tokens=max_new_tokens, on_progress=on_progress)
    flat = [trace for of in traces for trace in of if trace.finish_reason != "error"]
    verdicts = judge_part(judge, flat, "answer")
    if flat and all(verdict.failed for verdict in verdicts):
        raise JudgeError(f"the judge failed on all {len(flat)} answers: {verdicts[0].error}", "analysis.recovery.judge")
    each = iter(verdicts)
    return [
        Recovered(thought, n, of, [next(each) for trace in of if trace.finish_reason != "error"])
        for (thought, n, _), of in zip(asked, traces, strict=True)
    ]


def _first(engine: Engine, thought: UnsafeThought, tokens: int) -> str | None:
    ids = engine.tokenizer.encode(thought.thinking, add_special_tokens=False)
    return first_tokens(ids, tokens, engine.tokenizer) if tokens <= len(ids) else None


def recovery_cells(found: Sequence[Recovered]) -> list[dict[str, Any]]:
    """The cells of `analysis/recovery.json`, by set and temperature.

    Returns:
        `curve`: for each number of forced tokens, with intervals over prompts, the shares of answers that are `safe`,
        `unsafe` and `malformed` (a thought that does not end within the limit among them), how many thoughts were
        long enough (`thoughts`), and how many answers `failed` to be generated or judged.
    """
    cells: dict[tuple[str, float], list[Recovered]] = {}
    for one in found:
        cells.setdefault((one.thought.set, one.thought.temperature), []).append(one)
    return [
        {
            "set": name,
            "kind": "harmful",
            "temperature": temperature,
            "curve": [_point(n, [m for m in members if m.tokens == n]) for n in sorted({m.tokens for m in members})],
        }
        for (name, temperature), members in sorted(cells.items(), key=lambda cell: cell[0])
    ]


def _point(tokens: int, members: Sequence[Recovered]) -> dict[str, Any]:
    judged = [(one.thought.prompt.id, v.outcome) for one in members for v in one.verdicts if not v.failed]
    asked = sum(len(one.traces) for one in members)

    def of(outcome: str) -> Mapping[str, Any]:
        return share([prompt for prompt, _ in judged], [found == outcome for _, found in judged]).to_json()

    return {
        "tokens": tokens,
        "thoughts": len(members),
        "failed": asked - len(judged),
        **{outcome: of(outcome) for outcome in ("safe", "unsafe", "malformed")},
    }
