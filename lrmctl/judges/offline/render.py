"""Verdict counts and measurements as table rows and Markdown. Knows neither judges nor the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from lrmctl.judges.describe import JudgeDescription
from lrmctl.judges.offline.agreement import AgreementRate
from lrmctl.judges.offline.measure import Measurement
from lrmctl.judges.offline.words import WordMeasurement

Table = tuple[tuple[str, ...], list[tuple[str, ...]]]
_RATES = ("precision", "recall", "specificity", "accuracy", "f1", "kappa")


def percent(estimate: AgreementRate) -> str:
    """`56.5 [42.2, 69.8]`, or `-` where there is no value."""
    return _cell(estimate, 100, 1)


def decimal(estimate: AgreementRate) -> str:
    """`0.57 [0.42, 0.70]`, or `-` where there is no value."""
    return _cell(estimate, 1, 2)


def counts_table(summary: Mapping[str, Any]) -> Table:
    """The verdicts of one judge on the rows of a file."""
    shares = summary["shares"]
    rows: list[tuple[str, ...]] = [
        (word, str(count), str(shares[word].n), percent(shares[word]))
        for word, count in summary["counts"].items()
        if count or word != "unsaid"
    ]
    return ("verdict", "rows", "of", "% [95 %]"), rows


def measure_table(found: Measurement) -> Table:
    """One row a judge; recall is sensitivity."""
    heads = ("judge", "TP", "FP", "FN", "TN", *(_NAMES.get(r, r) for r in _RATES), "no word", "failed")
    rows: list[tuple[str, ...]] = [
        (
            j.title,
            *(str(x) for x in (j.counts.tp, j.counts.fp, j.counts.fn, j.counts.tn)),
            *(decimal(j.rates[rate]) for rate in _RATES),
            str(j.malformed + j.silent),
            str(j.failed),
        )
        for j in found.judges
    ]
    return heads, rows


_NAMES = {"recall": "recall (sensitivity)", "f1": "F1"}


def pairs_table(found: Measurement) -> Table:
    """Pairs of judges: the number of rows on which only one of them is right."""
    rows: list[tuple[str, ...]] = [
        (p.first, p.second, str(p.n), str(p.only_first), str(p.only_second), f"{p.p:.2g}") for p in found.pairs
    ]
    return ("judge", "other", "n", "only judge right", "only other right", "McNemar p"), rows


def words_table(found: Sequence[WordMeasurement]) -> Table:
    """One row a judge: how often its word is the label's, over all words."""
    rows: list[tuple[str, ...]] = [
        (j.title, str(j.accuracy.n), decimal(j.accuracy), decimal(j.alpha), str(j.silent), str(j.failed)) for j in found
    ]
    return ("judge", "rows", "accuracy", "alpha", "no word", "failed"), rows


def confusion_table(judge: WordMeasurement) -> Table:
    """One row a word of the labels: what the judge says there."""
    rows: list[tuple[str, ...]] = [
        (
            one.word,
            str(one.labelled),
            ", ".join(f"{word} {n}" for word, n in sorted(judge.confusion[one.word].items(), key=lambda w: -w[1])),
            decimal(one.precision),
            decimal(one.recall),
        )
        for one in judge.by_word
    ]
    return ("label", "rows", f"{judge.title} says", "precision", "recall"), rows


def words_markdown(source: str, found: Sequence[WordMeasurement]) -> str:
    """The same as Markdown."""
    versions = "\n".join(f"* {j.title}: version {j.version}" for j in found)
    tables = [words_table(found), *(confusion_table(j) for j in found)]
    return "\n\n".join([source, *(_markdown(table) for table in tables), versions])


def plain_words(found: Sequence[WordMeasurement]) -> list[dict[str, Any]]:
    """The measurements as JSON values."""
    return [
        {
            **asdict(one),
            "accuracy": one.accuracy._asdict(),
            "alpha": one.alpha._asdict(),
            "by_word": [
                {**asdict(w), "precision": w.precision._asdict(), "recall": w.recall._asdict()} for w in one.by_word
            ],
        }
        for one in found
    ]


def plain(found: Measurement) -> dict[str, Any]:
    """The measurement as JSON values, without the answers row by row."""
    said = asdict(found)
    for one, judge in zip(said["judges"], found.judges, strict=True):
        del one["answers"]
        one["rates"] = {name: e._asdict() for name, e in judge.rates.items()}
    return said


def headline(found: Measurement) -> str:
    """What was measured, in one line."""
    left = f"; {found.unlabelled} rows without a label left out" if found.unlabelled else ""
    what = f"{found.about}: {found.n} rows, {found.positives} positive; labels: {found.source}; judged: {found.part}"
    return what + left


def markdown(found: Measurement) -> str:
    """The measurement as Markdown."""
    versions = [f"* {j.title}: version {j.version}" for j in found.judges]
    tables = [measure_table(found), *([pairs_table(found)] if found.pairs else [])]
    return "\n\n".join([headline(found), *(_markdown(t) for t in tables), "\n".join(versions)])


def _markdown(table: Table) -> str:
    heads, rows = table
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def shown_lines(shown: JudgeDescription) -> Iterator[str]:
    """A judge for display: what it is, its options, its documentation, and its question."""
    judge = shown.listed
    yield f"{judge.name} (from {judge.origin}): {judge.summary}"
    if shown.version:
        yield f"version: {shown.version}"
    yield "options:" if shown.options else "options: none"
    for option in shown.options:
        told = "required" if option.required else f"default {option.default!r}"
        yield f"  {option.name}: {option.type or 'any'}, {told}"
    yield from ("", shown.documentation)
    for question in shown.questions:
        yield from ("", "what it asks its model about an example:", *_question_lines(question))


def _question_lines(question: Mapping[str, Any]) -> Iterator[str]:
    if question.get("messages"):
        yield "(through the chat template of the model)"
    for message in question.get("messages", ()):
        yield f"[{message['role']}] {message['content']}"
    for key, value in question.items():
        if key != "messages":
            yield f"[{key}] {value}"


def _cell(estimate: AgreementRate, scale: int, digits: int) -> str:
    if estimate.value is None:
        return "-"
    told = f"{scale * estimate.value:.{digits}f}"
    if estimate.low is None or estimate.high is None:
        return told
    return f"{told} [{scale * estimate.low:.{digits}f}, {scale * estimate.high:.{digits}f}]"
