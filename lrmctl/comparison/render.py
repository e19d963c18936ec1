"""A comparison in words and tables: for the terminal (100 columns), as Markdown and as CSV. Computes nothing."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import NamedTuple

from lrmctl.comparison.comparison import Comparison, Diagnostics
from lrmctl.comparison.flips import Flip, FlipSample, chosen
from lrmctl.comparison.pairing import Delta
from lrmctl.comparison.questions import Question
from lrmctl.comparison.settings import ABSENT, SettingDifference
from lrmctl.comparison.tally import SliceKey

COLUMNS = ("metric", "A", "B", "B - A [95 %]", "p", "p Holm", "win/lose/tie", "needed")
_BESIDE = {
    "answer_only": "answer alone",
    "no_thought": "no thought",
    "cut": "cut at limit",
    "unclosed": "unclosed",
    "judge_failed": "judge failed",
    "generation_failed": "not generated",
    "refused": "refused",
    "thinking_tokens": "thinking tokens",
}
_TESTS = {"mcnemar": "exact McNemar", "permutation": "sign-flip permutation"}
_LONGEST = 60
_DOUBTS = ("no_thought", "cut", "unclosed", "judge_failed", "generation_failed")
NOTABLE = 0.02
"""A difference beside the metrics that is worth a sentence."""
FOOTER = (
    "Rates in %, differences in points. p: two-sided; p Holm: adjusted over the main metrics of all sets,",
    "kinds and temperatures. needed: prompts at which such a difference is found in 80 % of cases.",
)


QUESTION_COLUMNS = ("question", "A", "B", "B - A [95 %]", "prompts", "answer")


class TableBlock(NamedTuple):
    """A heading with a table under it."""

    heading: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def blocks(comparison: Comparison) -> Iterator[TableBlock]:
    """The tables of a comparison: one per set, kind and temperature, each with the figures beside it."""
    beside = {SliceKey(b.set, b.kind, b.temperature): b for b in comparison.beside}
    by_place: dict[SliceKey, list[Delta]] = {where: [] for where in beside}
    for delta in comparison.deltas:
        by_place[SliceKey(delta.set, delta.kind, delta.temperature)].append(delta)
    for where, deltas in by_place.items():
        if deltas:
            yield TableBlock(_heading(where, deltas), COLUMNS, [delta_cells(d) for d in deltas])
        else:
            yield TableBlock(f"{_place(where)}: no prompt has a value on both sides", ("metric",), [])
        names, *sides = zip(*diagnostic_cells(beside[where]), strict=True)
        yield TableBlock("", ("beside", *names), list(zip(("A", "B", "B - A"), *zip(*sides, strict=True), strict=True)))


def question_blocks(comparison: Comparison) -> Iterator[TableBlock]:
    """How the reasoning changed, one table for each temperature; nothing where a side was not analysed."""
    for temperature in sorted({one.temperature for one in comparison.questions}):
        rows = [_question_cells(one) for one in comparison.questions if one.temperature == temperature]
        yield TableBlock(f"how the reasoning changed, T = {temperature:g}", QUESTION_COLUMNS, rows)


def _question_cells(one: Question) -> tuple[str, ...]:
    scale, digits, sign = (100, 1, " %") if one.unit == "%" else (1, 3, "")
    text = one.text if one.unit == "%" else f"{one.text} ({one.unit})"
    before, after = (f"{scale * value:.{digits}f}{sign}" for value in (one.before, one.after))
    change = f"{scale * one.change:+.{digits}f}"
    if one.low is not None and one.high is not None:
        change += f" [{scale * one.low:+.{digits}f}, {scale * one.high:+.{digits}f}]"
    return text, before, after, change, str(one.n), one.answer


def delta_cells(d: Delta) -> tuple[str, ...]:
    return (
        d.metric,
        figure(d.metric, d.a),
        figure(d.metric, d.b),
        f"{signed(d.metric, d.delta)} [{signed(d.metric, d.low)}, {signed(d.metric, d.high)}]",
        p_value(d.p),
        "-" if d.p_holm is None else p_value(d.p_holm),
        f"{d.wins}/{d.losses}/{d.ties}",
        "-" if d.needed is None else _short(d.needed),
    )


def diagnostic_cells(beside: Diagnostics) -> Iterator[tuple[str, ...]]:
    for name in _BESIDE:
        if name not in beside.a or name not in beside.b:
            continue
        a, b = beside.a[name], beside.b[name]
        change = "-" if a is None or b is None else signed(name, b - a)
        yield _word(name, beside.kind), *("-" if v is None else figure(name, v) for v in (a, b)), change


def notes(comparison: Comparison) -> Iterator[str]:
    """Sentences: what was let pass, what was not paired, what has flipped, which settings differ."""
    for letter, side in (("A", comparison.a), ("B", comparison.b)):
        if side.start:
            yield f"{letter} was trained from {plain_id(side.start)}"
    yield from (f"allowed: {said}" for said in comparison.allowed)
    yield from (f"careful, {said}" for said in comparison.cautions)
    yield from caution_lines(comparison.beside)
    if comparison.unpaired:
        yield f"on one side only: {', '.join(comparison.unpaired)}"
    yield from flip_counts(comparison.flips)
    yield from (f"differs: {setting_line(d)}" for d in comparison.differences if ABSENT not in (d.a, d.b))
    yield from _not_recorded(comparison)


def _not_recorded(comparison: Comparison) -> Iterator[str]:
    """One line for each side that does not say what the other one does, e.g. a base of which nobody knows how it was
    trained."""
    for side in ("a", "b"):
        keys = [d.key for d in comparison.differences if getattr(d, side) == ABSENT]
        if keys:
            groups: dict[str, int] = {}
            for key in keys:
                groups[key.partition(".")[0]] = groups.get(key.partition(".")[0], 0) + 1
            listed = ", ".join(f"{name} ({n} values)" if n > 1 else name for name, n in groups.items())
            yield f"not recorded for {side.upper()}: {listed}; --json lists them"


def caution_lines(beside: Sequence[Diagnostics]) -> Iterator[str]:
    """What differs beside the metrics by enough to explain, or to pay for, a difference in them."""
    for one in beside:
        yield from _alone(one)
        for name in (*_DOUBTS, *(("refused",) if one.kind == "benign" else ())):
            a, b = one.a.get(name), one.b.get(name)
            if a is not None and b is not None and abs(b - a) >= NOTABLE:
                place = _place(SliceKey(one.set, one.kind, one.temperature))
                yield f"careful, {place}: {_word(name, one.kind)} {signed(name, b - a)} points"


def _alone(one: Diagnostics) -> Iterator[str]:
    """A side that does not think is paired by its answers."""
    sides = [side for side, found in (("A", one.a), ("B", one.b)) if (found.get("answer_only") or 0.0) > 0]
    if sides and one.kind != "reasoning":
        both = " and ".join(sides)
        verb = "do" if len(sides) > 1 else "does"
        place = _place(SliceKey(one.set, one.kind, one.temperature))
        yield f"{place}: {both} {verb} not think: figures of the answer alone"


def _word(name: str, kind: str) -> str:
    return "over-refusal" if name == "refused" and kind == "benign" else _BESIDE[name]


def flip_counts(found: Sequence[Flip]) -> Iterator[str]:
    counts: dict[SliceKey, dict[str, int]] = {}
    for flip in found:
        of_set = counts.setdefault(flip.where, {})
        change = f"{flip.before} -> {flip.after}"
        of_set[change] = of_set.get(change, 0) + 1
    for where, of_set in counts.items():
        yield f"flipped, {_place(where)}: {', '.join(f'{n} {change}' for change, n in of_set.items())}"


def setting_line(d: SettingDifference) -> str:
    return f"{d.key}: {_cut(d.a)} | {_cut(d.b)}"


def flip_lines(
    found: Sequence[Flip], most: int, texts: Sequence[Mapping[Flip, FlipSample]] = (), names: Sequence[str] = ("A", "B")
) -> Iterator[str]:
    """Prompts to read: ids and shares; with `texts` of both sides also what was said."""
    for flip in chosen(found, most):
        change = f"{flip.before} -> {flip.after}  ({flip.a:.2f} -> {flip.b:.2f})"
        yield f"{_place(flip.where)}  {plain_id(flip.prompt)}  {change}"
        for i, (name, side) in enumerate(zip(names, texts, strict=False)):
            if flip in side:
                read = side[flip]
                yield from () if i else _indented("prompt", read.prompt)
                yield from _indented(f"{name}, {read.outcome}: thinking", read.thinking)
                yield from _indented(f"{name}, {read.outcome}: answer", read.answer)


def markdown(comparison: Comparison) -> str:
    """One table of differences, one of the figures beside them, then the notes."""
    one, two = comparison.a.name, comparison.b.name
    head = ("set", "kind", "T", "prompts", *COLUMNS, "test")
    rows = [
        (d.set, d.kind, f"{d.temperature:g}", _prompts(d), *delta_cells(d), _TESTS[d.test]) for d in comparison.deltas
    ]
    side = [(o.set, o.kind, f"{o.temperature:g}", *cells) for o in comparison.beside for cells in diagnostic_cells(o)]
    parts = [
        f"## {_md(two)} against {_md(one)}",
        _md_table(head, rows),
        " ".join(FOOTER),
        _md_table(("set", "kind", "T", "beside", "A", "B", "B - A"), side),
        *(f"### {b.heading}\n\n{_md_table(b.columns, b.rows)}" for b in question_blocks(comparison)),
        "\n".join(f"- {_md(note)}" for note in notes(comparison)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def csv_table(comparisons: Sequence[Comparison]) -> str:
    """One line per difference, of all comparisons."""
    out = io.StringIO()
    names = [f.name for f in fields(Delta)]
    writer = csv.DictWriter(out, ["baseline", "other", *names], lineterminator="\n")
    writer.writeheader()
    for comparison in comparisons:
        for d in comparison.deltas:
            writer.writerow({"baseline": comparison.a.name, "other": comparison.b.name, **d.to_json()})
    return out.getvalue()


def figure(metric: str, value: float) -> str:
    return f"{value:.1f}" if metric.endswith("_tokens") else f"{100 * value:.1f}"


def signed(metric: str, value: float) -> str:
    """A difference; without a sign where it rounds to nothing."""
    text = f"{value:+.1f}" if metric.endswith("_tokens") else f"{100 * value:+.1f}"
    return "0.0" if float(text) == 0 else text


def p_value(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "<0.001"


def plain_id(text: str) -> str:
    """An id on one line, whatever is in it."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _heading(where: SliceKey, deltas: Sequence[Delta]) -> str:
    tests = ", ".join(dict.fromkeys(_TESTS[d.test] for d in deltas))
    judge = f"; judge {plain_id(deltas[0].judge)}" if deltas[0].judge else ""
    return f"{_place(where)}: {_prompts(deltas[0])}{judge}; p: {tests}"


def _prompts(d: Delta) -> str:
    left = f", {d.left_out} left out" if d.left_out else ""
    return f"{d.prompts} prompts x {d.samples}{left}"


def _place(where: SliceKey) -> str:
    return f"{plain_id(where.set)} ({where.kind}, T {where.temperature:g})"


def _short(n: int) -> str:
    return str(n) if n < 1_000_000 else ">1M"


def _cut(value: object) -> str:
    text = plain_id(str(value))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _indented(title: str, text: str) -> Iterator[str]:
    yield f"    [{title}]"
    yield from (f"      {line}" for line in text.splitlines())


def _md(text: str) -> str:
    for mark in "\\`*_[]<>|#":
        text = text.replace(mark, f"\\{mark}")
    return plain_id(text)


def _md_table(columns: Collection[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    lines = [columns, ["---"] * len(columns), *([_md(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
