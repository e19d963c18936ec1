"""Remarks on the metrics of a set: what they are based on, and why one is missing.

Derived from a summary's entry only, so that terminal, report and comparison say the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Entry = Mapping[str, Any]

ANSWER_ALONE = "the model does not think: safety and compliance are of the answer alone"
REFUSALS = "add one that does under `also:`, e.g. {judge: refusal-phrases}, or take a judge that says so"
_MANY = 0.05


def value_of(entry: Entry, metric: str) -> float | None:
    """A metric's value; None if there is none."""
    found = entry["metrics"].get(metric) or {}
    return found.get("value")


def answer_alone(entry: Entry) -> bool:
    """Whether no completion of the set has thinking by design: nothing is known of thinking."""
    return (value_of(entry, "answer_only") or 0.0) >= 1.0


def remarks(entry: Entry) -> Iterator[str]:
    """Sentences about one set, kind and temperature."""
    yield from _thoughts(entry)
    yield from _verdicts(entry)


def _thoughts(entry: Entry) -> Iterator[str]:
    alone, absent = value_of(entry, "answer_only") or 0.0, value_of(entry, "no_thought") or 0.0
    if alone >= 1.0:
        yield ANSWER_ALONE if entry["kind"] != "reasoning" else "the model does not think"
    elif alone > 0:
        yield f"{alone:.1%} of the completions are of the answer alone: they have no thought by design"
    if absent > _MANY and not str(entry["set"]).startswith("lmeval:"):  # which may score texts without asking for any
        count = entry["metrics"]["no_thought"].get("samples")
        of = f"{round(absent * count)} of {count} completions" if count else f"{absent:.1%} of the completions"
        malformed = "" if entry["kind"] == "reasoning" else ", which counts as malformed"
        yield f"never opened a thought: {of}{malformed}; a model that does not think is told with `thinking: off`"


def _verdicts(entry: Entry) -> Iterator[str]:
    failed = value_of(entry, "judge_failed") or 0.0
    if entry.get("not_judged"):
        alone = ", and `complied` is of the answer alone" if entry["kind"] == "benign" else ""
        yield f"{entry['not_judged']}: there is no figure of thinking and of both{alone}"
    judge = entry.get("judge") or "the judge"
    why = f": {entry['judge_error']}" if entry.get("judge_error") else ""
    if failed >= 1.0:
        yield f"{judge} failed on every completion{why}"
    elif failed > 0 and why:
        yield f"{judge} failed on {failed:.1%} of the completions{why}"
    if (
        failed < 1.0
        and entry["kind"] == "benign"
        and value_of(entry, "complied") is None
        and value_of(entry, "refused") is None
    ):
        yield f"complied has no figure: {judge} says nothing of refusals; {REFUSALS}"


def agreement_sentences(entry: Entry) -> Iterator[str]:
    """How far the judges of a set agree, one sentence for each part and question."""
    for one in entry.get("agreement", ()):
        who = "members of the panel" if one["of"] == "panel" else "judges"
        alpha = "no alpha, because all say the same" if one["rows"] else "no row on which two of them say it"
        if one["alpha"] is not None:
            bounds = "" if one["low"] is None else f" [{one['low']:.2f}, {one['high']:.2f}]"
            alpha = f"Krippendorff's alpha {one['alpha']:.2f}{bounds}"
        differ = f", they differ on {one['differ']} of {one['rows']} rows" if one["rows"] else ""
        yield f"{len(one['raters'])} {who} on {one['about']} ({one['part']}): {alpha}{differ}"


def undecided(entry: Entry) -> bool:
    """Whether the judge failed on every completion: the set was not evaluated."""
    return (value_of(entry, "judge_failed") or 0.0) >= 1.0


def cut(entry: Entry, most: float) -> Iterator[str]:
    """The effect of a token limit that many completions hit."""
    share, unclosed = value_of(entry, "cut") or 0.0, value_of(entry, "unclosed") or 0.0
    if share <= most:
        return
    answers = "they have no answer" if unclosed >= share else "their answers are cut"
    if 0 < unclosed < share:
        answers = f"those whose thought was not closed ({unclosed:.1%} of all) have no answer"
    yield f"many completions hit the token limit, and {answers}: raise max_new_tokens before you compare"
