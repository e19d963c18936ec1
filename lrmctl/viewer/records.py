"""What the viewer shows of one trace: values that a list filters and sorts by, texts, and a byte row for its tokens.

A record is made of one evaluated row or one rollout. Characters are counted in UTF-16 code units, as a browser does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from lrmctl.lexicons import Lexicon
from lrmctl.runs.eval_rows import EvalRow
from lrmctl.types import Prompt, Trace, Verdict
from lrmctl.viewer.annotations import Annotations, RowName, TokenBytes
from lrmctl.viewer.utf16 import Utf16

SNIPPET = 200
"""Characters of a prompt that the list shows."""
RAW = 2_000
"""Characters of a judge's own words that are kept."""
WORDS = ("run", "set", "kind", "prompt", "state", "finish", "result", "thought", "said", "judge", "group", "phase")
"""Fields of the index that are words; few different ones, so that they are numbered."""
NUMBERS = (
    *("temperature", "sample", "refused", "thinking_tokens", "answer_tokens", "characters"),
    *("entropy", "reflections", "reward", "step"),
)
"""Fields of the index that are numbers, or missing."""


class ViewedRun(NamedTuple):
    """One run folder.

    Attributes:
        label: what the reader sees.
        path: its folder.
    """

    label: str
    path: Path


@dataclass(frozen=True, slots=True)
class Record:
    """One trace.

    Attributes:
        index: values of `WORDS` and `NUMBERS`; a missing number is None.
        snippet: how the prompt begins.
        text: what is shown once the trace is opened; JSON.
        tokens: entropies and where each token begins; None where no tokens were analysed.
    """

    index: Mapping[str, Any]
    snippet: str
    text: Mapping[str, Any]
    tokens: TokenBytes | None = None


def of_row(row: EvalRow, run: str, lexicon: Lexicon | None, known: Annotations) -> Record:
    """The record of an evaluated row.

    Args:
        run: label of the run it is of.
        lexicon: whose words are marked in the thinking.
        known: segments and tokens of the run's traces.
    """
    trace = row.trace
    name = RowName(row.set, row.temperature, trace.prompt.id, trace.sample)
    place = Utf16(trace.thinking)
    hits = _hits(trace.thinking, lexicon)
    segments = known.segments_of(name, len(trace.thinking))
    tokens = known.tokens_of(name, place)
    index = {
        "run": run,
        "set": row.set,
        "kind": trace.prompt.kind,
        "prompt": trace.prompt.id,
        "state": trace.thinking_state,
        "finish": trace.finish_reason,
        "result": _result(row),
        "thought": _word(row.thinking),
        "said": _word(row.answer),
        "judge": row.answer.judge if row.answer else "",
        "group": "",
        "phase": "evaluation",
        "temperature": row.temperature,
        "sample": trace.sample,
        "refused": None if row.refused is None else int(row.refused),
        **_sizes(trace.thinking, trace.answer, trace.thinking_tokens, trace.answer_tokens),
        "entropy": tokens.mean if tokens else None,
        "reflections": len(hits) // 2,
        "reward": None,
        "step": None,
    }
    text = {
        **_texts(trace),
        "reference": trace.prompt.reference,
        "extracted": row.extracted,
        "verdicts": [_verdict(v) for v in (row.thinking, row.answer, *row.also) if v is not None],
        "scores": dict(row.scores),
        "faults": list(trace.faults),
        "error": trace.error,
        "hits": place.all(hits),
        "segments": [[*place.all(s[:2]), s[2]] for s in segments],
    }
    return Record(index, trace.prompt.text[:SNIPPET], text, tokens)


def of_rollout(row: Mapping[str, Any], run: str, number: int, step: int | None, lexicon: Lexicon | None) -> Record:
    """The record of one line of `rollouts.jsonl`; what a line lacks is empty.

    Args:
        number: of the line, from 1.
        step: of the training, where it is known.
    """
    thinking, answer, prompt = (_text(row, key) for key in ("thinking", "answer", "prompt"))
    attempt, phase = row.get("attempt") or 1, _text(row, "phase") or "train"
    place, hits = Utf16(thinking), _hits(thinking, lexicon)
    reward, error = _number(row.get("reward")), _text(row, "error")
    index = {
        "run": run,
        "set": "",
        "kind": _text(row, "kind"),
        "prompt": _text(row, "prompt_id"),
        "state": _text(row, "thinking_state"),
        "finish": _text(row, "finish_reason"),
        "result": "failed" if error else "scored",
        "thought": "",
        "said": "",
        "judge": "",
        "group": f"{attempt}/{phase}/{_text(row, 'group') or f'{prompt[:60]}#{number}'}",
        "phase": phase,
        "temperature": None,
        "sample": _number(row.get("sample")) or 0,
        "refused": None,
        **_sizes(thinking, answer, _number(row.get("thinking_tokens")), _number(row.get("answer_tokens"))),
        "entropy": None,
        "reflections": len(hits) // 2,
        "reward": reward,
        "step": step,
    }
    text = {
        "prompt": prompt,
        "thinking": thinking,
        "answer": answer,
        "faults": [str(word) for word in row.get("irregular") or ()],
        "error": error,
        "hits": place.all(hits),
        "segments": [],
        "verdicts": [],
        "total": _number(row.get("total")),
        "components": _components(row.get("components")),
        "line": number,
        "attempt": attempt,
        "seconds": _number(row.get("seconds")),
    }
    return Record(index, prompt[:SNIPPET], text)


def _sizes(thinking: str, answer: str, thinking_tokens: float | None, answer_tokens: float | None) -> dict[str, Any]:
    return {
        "thinking_tokens": thinking_tokens,
        "answer_tokens": answer_tokens,
        "characters": len(thinking) + len(answer),
    }


def _result(row: EvalRow) -> str:
    """One word for the whole trace: the outcome of what was judged, or whether it is correct."""
    if row.judged_outcome is not None:
        return row.judged_outcome
    if row.correct is not None:
        return "correct" if row.correct else "incorrect"
    return "not graded"


def _word(verdict: Verdict | None) -> str:
    if verdict is None:
        return ""
    return "not judged" if verdict.not_judged else verdict.outcome


def _verdict(verdict: Verdict) -> dict[str, Any]:
    raw = verdict.raw
    return {
        "part": verdict.part,
        "judge": verdict.judge,
        "version": verdict.version,
        "word": _word(verdict),
        "refused": verdict.refused,
        "p_unsafe": verdict.p_unsafe,
        "labels": list(verdict.labels),
        "raw": raw if len(raw) <= RAW else f"{raw[:RAW]} ... ({len(raw) - RAW:,} more characters)",
        "error": verdict.error,
    }


def _texts(trace: Trace) -> dict[str, Any]:
    return {"prompt": _prompt(trace.prompt), "thinking": trace.thinking, "answer": trace.answer}


def _prompt(prompt: Prompt) -> str | list[list[str]]:
    """The user's words; all messages with their roles where there are more."""
    if len(prompt.messages) == 1:
        return prompt.text
    return [[message["role"], message["content"]] for message in prompt.messages]


def _hits(thinking: str, lexicon: Lexicon | None) -> list[int]:
    """Start, end, start, end ... of the lexicon's words."""
    if lexicon is None:
        return []
    return [at for found in lexicon.pattern.finditer(thinking) for at in found.span()]


def _components(found: Any) -> list[list[Any]]:
    """Name, value, weighted value and error of each component of a reward."""
    if not isinstance(found, Mapping):
        return []
    return [
        [str(name), _number(part.get("value")), _number(part.get("weighted")), str(part.get("error") or "")]
        for name, part in found.items()
        if isinstance(part, Mapping)
    ]


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    return "" if value is None else str(value)


def _number(value: Any) -> float | None:
    """A finite number, or None: neither JSON nor a browser takes others."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if value == value and abs(value) != float("inf") else None
