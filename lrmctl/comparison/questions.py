"""How the reasoning changed, as questions with the data's answer: for and against what RL for safety promises.

The promise is that of arXiv 2512.01848's abstract: fewer unsafe explorations in the thinking, reflective depth kept.
Each question pairs the traces of two models on the same prompts (`analysis/traces.parquet`). Means of prompts get the
paired test that all comparisons have (`lrmctl.stats.paired_delta`); ratios, such as entropy per token, a bootstrap over
prompts that resamples both sides together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from lrmctl._util.toml_tables import read_entries
from lrmctl.runs.eval_rows import rows_digest
from lrmctl.runs.trace_table import TraceTable, read_trace_table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

Answer = Literal["yes", "no", "undecided"]
Wanted = Literal["lower", "higher", "kept", "not higher", "changed"]
FEWEST = 10
"""Prompts; fewer decide nothing."""
_RESAMPLES = 5_000
_SEED = 20240229


class QuestionSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """A question, and the columns that answer it; an entry of questions.toml.

    Attributes:
        name: identifier.
        top: column of the trace table, summed over traces.
        bottom: column that the sum is divided by; empty for the number of traces.
        wanted: what `yes` means. `kept` is a drop of less than `margin`, `not higher` a rise of less than it.
        margin: as a share of the first model's value, or absolute where `absolute`.
    """

    name: str
    text: str
    kind: str
    top: str
    wanted: Wanted
    bottom: str = ""
    unit: str = "%"
    margin: float = 0.1
    absolute: bool = False


@dataclass(frozen=True)
class Question:
    """One question of one pair of models on one kind of prompts.

    Attributes:
        before, after: the figure of the first and the second model on the prompts that both have.
        change: `after - before`.
        low, high: its 95 % interval over `n` prompts; None with one prompt.
        answer: `undecided` where the interval allows both, or fewer than 10 prompts were paired.
        sentence: all of it in words.
    """

    id: str
    text: str
    kind: str
    temperature: float
    sets: tuple[str, ...]
    unit: str
    wanted: Wanted
    before: float
    after: float
    change: float
    low: float | None
    high: float | None
    n: int
    answer: Answer
    sentence: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@cache
def question_specs() -> dict[str, QuestionSpec]:
    """The questions of questions.toml by name, in their order.

    Raises:
        LrmctlError: an entry that does not fit `QuestionSpec`.
    """
    return read_entries(__package__ or "", "questions.toml", QuestionSpec)


def answer_questions(before: Path, after: Path) -> list[Question]:
    """The questions about two analysed runs, at each temperature that both have.

    Args:
        before, after: run folders; the base, say, and a model that was trained from it.

    Returns:
        Questions for which both have figures, in a fixed order; none where one was not analysed, or where its table
        is of another evaluation than its rows.
    """
    a, b = _table(before), _table(after)
    if a is None or b is None:
        return []
    lexicon = _lexicon(a, b)
    places = sorted({(kind, t) for kind, t in zip(a.columns["kind"], a.columns["temperature"], strict=True)})
    found = []
    for spec in question_specs().values():
        spec = replace(spec, top=spec.top.format(lexicon=lexicon))
        for kind, temperature in places:
            if kind == spec.kind and (one := _answered(spec, a, b, temperature)) is not None:
                found.append(one)
    return found


def is_held_out(set_name: str) -> bool:
    """Whether a set's name says that it was kept out of training."""
    return any(mark in set_name.lower() for mark in ("heldout", "held-out", "held_out", "ood"))


def _table(run: Path) -> TraceTable | None:
    table = read_trace_table(run / "analysis")
    rows = run / "eval" / "rows.jsonl"
    if table is None or not rows.is_file() or table.rows_sha256 != rows_digest(rows):
        return None
    return table


def _lexicon(a: TraceTable, b: TraceTable) -> str:
    """A strict lexicon if both have one, else the first that both have."""
    from lrmctl.lexicons import find_lexicon

    shared = [name.removeprefix("depth:") for name in a.columns if name.startswith("depth:") and name in b.columns]
    strict = [name for name in shared if (found := find_lexicon(name)) is not None and found.strict]
    return next(iter([*strict, *shared]), "")


_Sums = dict[tuple[str, str], tuple[float, float, int]]
"""By set and prompt: sums of both columns, and traces."""


def _sums(table: TraceTable, spec: QuestionSpec, temperature: float) -> _Sums:
    columns = table.columns
    if spec.top not in columns or (spec.bottom and spec.bottom not in columns):
        return {}
    tops = columns[spec.top]
    bottoms = columns[spec.bottom] if spec.bottom else [1.0] * len(table)
    places = zip(columns["set"], columns["kind"], columns["temperature"], columns["prompt"], strict=True)
    found: _Sums = {}
    for (name, kind, t, prompt), top, bottom in zip(places, tops, bottoms, strict=True):
        if (kind, t) == (spec.kind, temperature) and top is not None and bottom:
            x, y, n = found.get((name, prompt), (0.0, 0.0, 0))
            found[name, prompt] = x + top, y + bottom, n + 1
    held = {key: value for key, value in found.items() if is_held_out(key[0])}
    return held or found


def _answered(spec: QuestionSpec, a: TraceTable, b: TraceTable, temperature: float) -> Question | None:
    import numpy as np

    one, two = _sums(a, spec, temperature), _sums(b, spec, temperature)
    shared = sorted(one.keys() & two.keys())
    if not shared:
        return None
    x, y = (np.array([side[key][:2] for key in shared]) for side in (one, two))
    before, after = float(x[:, 0].sum() / x[:, 1].sum()), float(y[:, 0].sum() / y[:, 1].sum())
    low, high = _interval(x, y, per_trace=_means(one, shared) and _means(two, shared))
    answer = _answer(spec, before, low, high) if len(shared) >= FEWEST else "undecided"
    known = low == low
    return Question(
        id=spec.name,
        text=spec.text,
        kind=spec.kind,
        temperature=temperature,
        sets=tuple(sorted({name for name, _ in shared})),
        unit=spec.unit,
        wanted=spec.wanted,
        before=before,
        after=after,
        change=after - before,
        low=low if known else None,
        high=high if known else None,
        n=len(shared),
        answer=answer,
        sentence=_sentence(spec, before, after, low, high, len(shared), answer),
    )


def _means(sums: _Sums, shared: Sequence[tuple[str, str]]) -> bool:
    """Whether the ratio is a mean of prompts: the same number of things counted for each."""
    return len({sums[key][1] for key in shared}) == 1


def _interval(x: Vector, y: Vector, *, per_trace: bool) -> tuple[float, float]:
    """Of the difference of two ratios of sums over the same prompts `[prompts, 2]`."""
    import numpy as np

    from lrmctl.stats import paired_delta

    if len(x) < 2:
        return float("nan"), float("nan")
    if per_trace:
        found = paired_delta(x[:, 0] / x[:, 1], y[:, 0] / y[:, 1])
        return found.low, found.high
    draws = np.random.default_rng(_SEED).multinomial(len(x), np.full(len(x), 1 / len(x)), size=_RESAMPLES)
    of_x, of_y = draws @ x, draws @ y
    low, high = np.percentile(of_y[:, 0] / of_y[:, 1] - of_x[:, 0] / of_x[:, 1], [2.5, 97.5])
    return float(low), float(high)


def _answer(spec: QuestionSpec, before: float, low: float, high: float) -> Answer:
    margin = spec.margin if spec.absolute else spec.margin * abs(before)
    yes, no = {
        "lower": (high < 0, low > 0),
        "higher": (low > 0, high < 0),
        "kept": (low > -margin, high < -margin),
        "not higher": (high < margin, low > margin),
        "changed": (low > 0 or high < 0, False),
    }[spec.wanted]
    return "yes" if yes else "no" if no else "undecided"


def _sentence(spec: QuestionSpec, before: float, after: float, low: float, high: float, n: int, answer: Answer) -> str:
    scale, unit, digits = (100, " %", 1) if spec.unit == "%" else (1, f" {spec.unit}", 3)
    change = f"{scale * (after - before):+.{digits}f}"
    if low == low:
        change += f" ({scale * low:+.{digits}f} to {scale * high:+.{digits}f})"
    head = {"yes": "Yes", "no": "No", "undecided": "The data does not decide it"}[answer]
    if answer == "undecided" and n < FEWEST:
        head = f"Too few prompts to say ({FEWEST} are needed)"
    limit = _limit(spec)
    figures = f"from {scale * before:.{digits}f} to {scale * after:.{digits}f}{unit}, {change}"
    return f"{head}: {figures}, n = {n} prompts{limit}."


def _limit(spec: QuestionSpec) -> str:
    if spec.wanted not in ("kept", "not higher"):
        return ""
    margin = f"{100 * spec.margin:g} {'points' if spec.absolute else '% of it'}"
    return f"; a {'drop' if spec.wanted == 'kept' else 'rise'} of {margin} would be a loss"


def by_question(found: Mapping[str, Sequence[Question]]) -> Iterator[tuple[Question, dict[str, Question]]]:
    """The table of several models against one: each question once, with each model's answer by its name."""
    first: dict[tuple[str, float], Question] = {}
    for questions in found.values():
        for one in questions:
            first.setdefault((one.id, one.temperature), one)
    for (id, temperature), shown in first.items():
        answers = {
            name: one
            for name, questions in found.items()
            for one in questions
            if (one.id, one.temperature) == (id, temperature)
        }
        yield shown, answers
