"""Measures judges against labels of several words: levels of reasoning, kinds of response, classes of refusal.

A judge's word is the first of its labels that is one of the known words, else safe or unsafe where the labels have
these. A row on which a judge failed, or has no word, is counted separately.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrmctl.console import OnProgress
from lrmctl.errors import LrmctlError
from lrmctl.judges.offline.agreement import AgreementRate, proportion
from lrmctl.judges.offline.inputs import JudgedItem, read_items
from lrmctl.judges.offline.labels import field_of
from lrmctl.judges.offline.score import failures_of, score_items
from lrmctl.judges.spec import JudgeSpec
from lrmctl.judges.templates.reasoning import LEVELS
from lrmctl.rows.prompts import key_of
from lrmctl.rows.values import missing
from lrmctl.runs.eval_rows import REFUSAL_CLASSES
from lrmctl.types import RESPONSE_KINDS, Scope, Verdict

_NUMBERS = {p: level for level, p in LEVELS.items()}
"""Labels 0, 0.5 and 1 as levels."""


@dataclass(frozen=True)
class WordLabels:
    """Rows with a word as label, in order.

    Attributes:
        words: the different labels, in order of first appearance.
        unlabelled: rows left out because they have none.
    """

    items: tuple[JudgedItem, ...]
    labels: tuple[str, ...]
    source: str
    unlabelled: int = 0

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.labels))


@dataclass(frozen=True)
class MeasuredWord:
    """How a judge does on one word: rows so labelled, rows that it calls so, and the rates."""

    word: str
    labelled: int
    said: int
    precision: AgreementRate
    recall: AgreementRate


@dataclass(frozen=True)
class WordMeasurement:
    """One judge against the labels.

    Attributes:
        accuracy: share of rows with the right word, of those with one.
        alpha: Krippendorff's alpha of judge and label, nominal.
        confusion: label -> the judge's word -> rows.
        silent, failed: rows without a word, and with a failed verdict.
    """

    title: str
    version: str
    accuracy: AgreementRate
    alpha: AgreementRate
    by_word: tuple[MeasuredWord, ...]
    confusion: Mapping[str, Mapping[str, int]]
    silent: int
    failed: int
    failures: tuple[Mapping[str, Any], ...] = ()


def read_word_labels(file: str, field: str) -> WordLabels:
    """The rows of a file that have a word in this field; 0, 0.5 and 1 are the levels of reasoning.

    Raises:
        NotFoundError: no such file.
        LrmctlError: no row has a label, or all have the same.
    """
    if not field:
        raise LrmctlError("nothing says where the words are", file, "say --labels-from FIELD")
    items = read_items(Path(file).expanduser())
    told = [(item, value) for item in items if not missing(value := field_of(item.row, field))]
    numbers = {_number(value) for _, value in told}
    levels = bool(numbers) and numbers <= set(_NUMBERS)
    words = tuple(_NUMBERS[_number(value)] if levels else str(value).strip().casefold() for _, value in told)
    if len(set(words)) < 2:
        what = f"no row has a label in {field!r}" if not words else f"all labels in {field!r} are {words[0]!r}"
        raise LrmctlError(what, file, f"fields: {', '.join(items[0].row)}")
    return WordLabels(tuple(item for item, _ in told), words, f"{file}: {field}", len(items) - len(told))


def _number(value: Any) -> Any:
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


def measure_words(
    judges: Sequence[JudgeSpec], labelled: WordLabels, part: Scope, on_progress: OnProgress | None = None
) -> list[WordMeasurement]:
    """Judge every labelled row with each judge.

    Raises:
        LrmctlError: a judge that cannot be made.
    """
    return [
        _measured(named, score_items(named, labelled.items, part, on_progress=on_progress), labelled)
        for named in judges
    ]


def word_of(verdict: Verdict, words: Sequence[str]) -> str | None:
    """The judge's word; None if it failed or has none."""
    if verdict.failed:
        return None
    known = {*words, *LEVELS, *RESPONSE_KINDS, *REFUSAL_CLASSES}
    named = next((label for label in map(str.casefold, verdict.labels) if label in known), None)
    return named or (verdict.outcome if verdict.outcome in words else None)


def _measured(named: JudgeSpec, verdicts: Sequence[Verdict], labelled: WordLabels) -> WordMeasurement:
    said = [word_of(verdict, labelled.words) for verdict in verdicts]
    rows = [(label, word) for label, word in zip(labelled.labels, said, strict=True) if word is not None]
    prompts = [key_of(i.trace.prompt) for i, w in zip(labelled.items, said, strict=True) if w is not None]
    failed = sum(verdict.failed for verdict in verdicts)
    return WordMeasurement(
        named.title,
        verdicts[0].version,
        proportion(sum(label == word for label, word in rows), len(rows)),
        _alpha(rows, prompts),
        tuple(_by_word(word, rows) for word in labelled.words),
        {word: dict(Counter(w for label, w in rows if label == word)) for word in labelled.words},
        len(verdicts) - len(rows) - failed,
        failed,
        tuple(failures_of(verdicts)),
    )


def _by_word(word: str, rows: Sequence[tuple[str, str]]) -> MeasuredWord:
    labelled, said = sum(label == word for label, _ in rows), sum(w == word for _, w in rows)
    right = sum(label == w == word for label, w in rows)
    return MeasuredWord(word, labelled, said, proportion(right, said), proportion(right, labelled))


def _alpha(rows: Sequence[tuple[str, str]], prompts: Sequence[str]) -> AgreementRate:
    from lrmctl.stats import krippendorff_alpha

    found = krippendorff_alpha(rows, prompts)
    return AgreementRate(found.value, found.low, found.high, found.units)
