"""The table of questions about the reasoning: each arm's answer beside the base's figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lrmctl.comparison import Question, answer_questions, by_question
from lrmctl.reporting.load import ArmData

NO_SIGN = {"yes": "good", "no": "bad", "undecided": "none"}


class QuestionCell(NamedTuple):
    """One arm's answer; `tone` picks the colour, the word carries the meaning."""

    answer: str
    tone: str
    after: str
    change: str
    sentence: str


class QuestionRow(NamedTuple):
    """One question; `cells` has one entry per arm that is compared, None where it has no figure."""

    text: str
    unit: str
    base: str
    cells: list[QuestionCell | None]


class QuestionTable(NamedTuple):
    """Arms without any answer have no column."""

    arms: list[tuple[str, bool]]
    rows: list[QuestionRow]


def answered(data: Sequence[ArmData]) -> dict[str, list[Question]]:
    """The answers of every arm but the first, against the first, by its name; without those that were not analysed."""
    base, *others = data
    found = {one.arm.name: answer_questions(base.arm.path, one.arm.path) for one in others}
    return {name: questions for name, questions in found.items() if questions}


def question_table(
    data: Sequence[ArmData], found: Mapping[str, Sequence[Question]], temperature: float
) -> QuestionTable | None:
    """The questions at one temperature; None where nothing can be compared."""
    arms = [one.arm for one in data if one.arm.name in found]
    rows = [
        QuestionRow(
            shown.text,
            shown.unit,
            _figure(shown.before, shown.unit),
            [_cell(answers[arm.name]) if arm.name in answers else None for arm in arms],
        )
        for shown, answers in by_question(found)
        if shown.temperature == temperature
    ]
    return QuestionTable([(arm.label, arm.control) for arm in arms], rows) if rows else None


def to_json(found: Mapping[str, Sequence[Question]]) -> dict[str, Any]:
    return {name: [one.to_json() for one in questions] for name, questions in found.items()}


def _cell(one: Question) -> QuestionCell:
    tone = "none" if one.wanted == "changed" else NO_SIGN[one.answer]
    return QuestionCell(one.answer, tone, _figure(one.after, one.unit), _signed(one.change, one.unit), one.sentence)


def _figure(value: float, unit: str) -> str:
    return f"{100 * value:.1f} %" if unit == "%" else f"{value:.3g}"


def _signed(value: float, unit: str) -> str:
    text = f"{100 * value:+.1f}" if unit == "%" else f"{value:+.3g}"
    return text.replace("-", "\N{MINUS SIGN}")
