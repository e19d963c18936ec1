"""Rows made of words: what each sample of a prompt was judged, without a model or a judge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lrmctl.runs.eval_rows import EvalRow
from lrmctl.types import Kind, Prompt, Trace, Verdict


def verdict(word: str, part: str = "answer", judge: str = "lab", **rest: Any) -> Verdict:
    """`safe`, `unsafe`, `malformed`, `failed`, or `unsaid`: says nothing of safety."""
    said = {"safe": True, "unsafe": False, "malformed": True}.get(word)
    error = "no reply" if word == "failed" else ""
    malformed = None if word in ("failed", "unsaid") else word == "malformed"
    return Verdict(judge, "1", part, safe=said, malformed=malformed, error=error, **rest)  # type: ignore[arg-type]


def row(
    prompt: str = "p",
    sample: int = 0,
    kind: Kind = "harmful",
    thinking: str = "safe",
    answer: str = "safe",
    finish: str = "stop",
    also: Sequence[Verdict] = (),
    refused: bool | None = None,
    **rest: Any,
) -> EvalRow:
    made = Prompt.user(prompt, "a question", kind)
    state = rest.pop("state", "closed")
    tokens, irregular = rest.pop("tokens", (30, 10)), rest.pop("irregular", ())
    trace = Trace(made, "t", "a", state, finish, *tokens, sample, irregular)  # type: ignore[arg-type]
    if kind == "reasoning":
        return EvalRow("set", 0.6, trace, **rest)
    said = (verdict(thinking, "thinking"), verdict(answer, refused=refused))
    return EvalRow("set", 0.6, trace, *said, also=tuple(also), **rest)


def rows_of(prompts: Sequence[Sequence[str]], part: str = "answer") -> Iterator[EvalRow]:
    """One row per word, prompt by prompt; the words are of one part, the other part is safe."""
    for i, words in enumerate(prompts):
        for j, word in enumerate(words):
            yield row(f"p{i}", j, **{part: word})


def solved(prompts: Sequence[Sequence[bool | None]], answers: Sequence[Sequence[str | None]] = ()) -> Iterator[EvalRow]:
    """Reasoning rows: whether each sample is right (None: not generated), and what was read out of it."""
    for i, samples in enumerate(prompts):
        for j, correct in enumerate(samples):
            said = answers[i][j] if answers else None
            finish = "error" if correct is None else "stop"
            yield row(f"p{i}", j, "reasoning", finish=finish, correct=correct, extracted=said)
