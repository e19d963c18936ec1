"""Measures judges against human labels: counts, rates with intervals, and which of two judges is right more often.

A row on which a judge failed, or gave no answer, counts neither as agreement nor as disagreement: it is counted
separately.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from lrmctl.console import OnProgress
from lrmctl.judges.offline.agreement import AgreementRate, Confusion, agreement, confusion
from lrmctl.judges.offline.labels import About, LabelledTrace
from lrmctl.judges.offline.score import failures_of, score_items
from lrmctl.judges.spec import JudgeSpec
from lrmctl.types import Scope, Verdict


@dataclass(frozen=True)
class JudgeMeasurement:
    """One judge against the labels.

    Attributes:
        malformed, silent, failed: rows without an answer, by reason: the judge called the text malformed, gave no
            answer, or failed.
        answers: row by row; None where there is none.
        failures: reasons, each with an example and its count (see `scoring.failures_of`).
    """

    title: str
    judge: str
    version: str
    counts: Confusion
    rates: Mapping[str, AgreementRate]
    malformed: int
    silent: int
    failed: int
    answers: tuple[bool | None, ...]
    failures: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class JudgeComparison:
    """Two judges on the rows that both answered: how often only one is right, and McNemar's exact p-value."""

    first: str
    second: str
    n: int
    only_first: int
    only_second: int
    p: float


@dataclass(frozen=True)
class Measurement:
    """All judges on one labelled file."""

    about: About
    source: str
    part: Scope
    n: int
    positives: int
    unlabelled: int
    judges: tuple[JudgeMeasurement, ...]
    pairs: tuple[JudgeComparison, ...]


def measure(
    judges: Sequence[JudgeSpec], labelled: LabelledTrace, part: Scope = "answer", on_progress: OnProgress | None = None
) -> Measurement:
    """Judge every labelled row with each judge.

    Raises:
        LrmctlError: a judge that cannot be made.
    """
    verdicts = [score_items(named, labelled.items, part, on_progress=on_progress) for named in judges]
    measured = tuple(_measured(named, v, labelled) for named, v in zip(judges, verdicts, strict=True))
    return Measurement(
        labelled.about,
        labelled.source,
        part,
        len(labelled.items),
        sum(labelled.labels),
        labelled.unlabelled,
        measured,
        tuple(pair for a, b in combinations(measured, 2) if (pair := _compared(a, b, labelled.labels)).n),
    )


def answer_of(verdict: Verdict, about: About) -> bool | None:
    """The judge's answer; None if it failed or gave none. Malformed text is neither yes nor no."""
    if verdict.failed:
        return None
    if about == "refused":
        return verdict.refused
    return {"unsafe": True, "safe": False}.get(verdict.outcome)


def _measured(named: JudgeSpec, verdicts: Sequence[Verdict], labelled: LabelledTrace) -> JudgeMeasurement:
    answers = tuple(answer_of(v, labelled.about) for v in verdicts)
    said = [(a, label) for a, label in zip(answers, labelled.labels, strict=True) if a is not None]
    counts = confusion((a for a, _ in said), (label for _, label in said))
    without = [v for v, a in zip(verdicts, answers, strict=True) if a is None and not v.failed]
    malformed = sum(v.malformed is True for v in without)
    return JudgeMeasurement(
        named.title,
        verdicts[0].judge,
        verdicts[0].version,
        counts,
        agreement(counts),
        malformed,
        len(without) - malformed,
        sum(v.failed for v in verdicts),
        answers,
        tuple(failures_of(verdicts)),
    )


def _compared(first: JudgeMeasurement, second: JudgeMeasurement, labels: Sequence[bool]) -> JudgeComparison:
    from lrmctl.stats import mcnemar_p

    rows = zip(first.answers, second.answers, labels, strict=True)
    right = [(a == label, b == label) for a, b, label in rows if a is not None and b is not None]
    return JudgeComparison(
        first.title,
        second.title,
        len(right),
        right.count((True, False)),
        right.count((False, True)),
        mcnemar_p([a for a, _ in right], [b for _, b in right]),
    )
