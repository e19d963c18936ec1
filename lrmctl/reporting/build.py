"""Puts a report together: reads the arms, makes table and figures, renders one HTML file and `table.json` beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl.comparison import Question, is_held_out, main_deltas
from lrmctl.errors import LrmctlError
from lrmctl.reporting import panels, paper, provenance
from lrmctl.reporting.every_set import every_set
from lrmctl.reporting.figures import ArmStyle, Canvas, arm_styles
from lrmctl.reporting.judged import verdict_of
from lrmctl.reporting.load import KINDS, ArmData, ArmFolder, load_arms
from lrmctl.reporting.panels.base import View
from lrmctl.reporting.questions import QuestionTable, answered, question_table, to_json
from lrmctl.reporting.samples import SHOWN, comparisons
from lrmctl.reporting.table import PairedArm, deltas_to_first, deltas_to_starts, main_table
from lrmctl.reporting.traces import trace_viewer
from lrmctl.runs.holding import one_at_a_time
from lrmctl.runs.writing import write_json, write_text
from lrmctl.viewer import DEFAULT_LIMIT

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["ArmFolder", "build_report"]


def build_report(
    arms: Sequence[ArmFolder],
    out: Path,
    *,
    title: str,
    notes: Sequence[str] = (),
    figures: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
    traces: int = DEFAULT_LIMIT,
) -> Path:
    """Write `out` (one self-contained HTML file) and `table.json` beside it.

    Args:
        arms: run folders; the first one is the base that the others are compared with.
        title: of the page.
        notes: sentences that stand at the top, e.g. which arms failed.
        figures: folder that every figure is written to as SVG, PDF and PNG, and every table as LaTeX and CSV.
        say: hears what was left out and what to be careful with, which stands at the top of the page too.
        traces: of one arm that the page holds at most; 0 leaves the viewer out.

    Returns:
        `out`.

    Raises:
        LrmctlError: no arms, a file of an arm that is not valid, or `figures` is no folder.
    """
    if not arms:
        raise LrmctlError("a report needs at least one arm")
    data = load_arms(arms, SHOWN)
    for told in (cautions := provenance.cautions(data)):
        say(told)
    table = main_table(data, title)
    paired, starts = deltas_to_first(data), deltas_to_starts(data)
    sets = every_set(data, paired)
    questions = answered(data)
    context = _context(data, table, paired, starts, title, [*notes, *cautions], questions)
    viewer = trace_viewer(arms, table["lexicon"], traces)
    page = environment().get_template("report.html.j2").render(context, every=sets, viewer=viewer)
    deltas = [_delta_rows(pair) for pair in paired]
    with one_at_a_time(out.parent):
        from_starts = [{**_delta_rows(pair), "start": pair.arm.arm.start} for pair in starts]
        written = {**table, "every_set": sets, "deltas": deltas, "deltas_to_start": from_starts}
        written["questions"] = to_json(questions)
        write_json(out.with_name("table.json"), written)
        write_text(out, page)
    if figures is not None:
        shown = list(_panels(context))
        tables = [*paper.main_tables(table, paired, sets), *(t for s in _sections(context) for t in s.tables)]
        paper.write_paper(figures, paper.drawings_of(shown), tables, paper.numbers_of(table))
    return out


def _sections(context: Mapping[str, Any]) -> Iterator[panels.Section]:
    for block in context["blocks"]:
        yield from block.thinking


def _panels(context: Mapping[str, Any]) -> Iterator[panels.Panel]:
    """Every figure of the page."""
    for block in context["blocks"]:
        yield from block.forests
        yield from block.tradeoffs
    for training in context["trainings"]:
        yield from training.panels
    for section in _sections(context):
        yield from section.panels


def _delta_rows(pair: PairedArm) -> dict[str, Any]:
    return {"name": pair.arm.arm.name, "not_paired": pair.reason, "deltas": [d.to_json() for d in pair.deltas]}


_DIRECTION = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def _plain_direction(value: Any) -> Any:
    """Characters that turn the direction of text are shown by their number: they could show a sentence reversed."""
    if type(value) is str and _DIRECTION.search(value):
        return _DIRECTION.sub(lambda found: f"\u27e8U+{ord(found[0]):04X}\u27e9", value)
    return value


def environment() -> Environment:
    """Escaping is on for every file: model text is data. Only figures drawn here are marked safe, by the template."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("lrmctl.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_plain_direction,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(svg=Canvas().svg, number=_number, bounds=_bounds, points=_points, p_value=_p_value)
    return made


@dataclass(frozen=True)
class _Block:
    """Everything shown for one temperature."""

    temperature: float
    facts: Mapping[str, Any]
    plain: Sequence[Mapping[str, Any]]
    controls: Sequence[Mapping[str, Any]]
    paired: Sequence[tuple[PairedArm, Mapping[str, Any]]]
    from_starts: Sequence[tuple[PairedArm, Mapping[str, Any]]]
    forests: Sequence[panels.Panel]
    tradeoffs: Sequence[panels.Panel]
    thinking: Sequence[panels.Section]
    reflected: bool
    questions: QuestionTable | None


def _context(
    data: Sequence[ArmData],
    table: Mapping[str, Any],
    paired: Sequence[PairedArm],
    starts: Sequence[PairedArm],
    title: str,
    notes: Sequence[str],
    questions: Mapping[str, Sequence[Question]],
) -> dict[str, Any]:
    from lrmctl._util.version import __version__

    drawn = arm_styles([(a.arm.label, a.arm.control) for a in data])
    return {
        "title": title,
        "notes": [*notes, *provenance.warnings(data)],
        "version": __version__,
        "table": table,
        "kinds": [k for k in KINDS if k in table["sets"]],
        "held_out": {kind: is_held_out(name) for kind, name in table["sets"].items()},
        "blocks": [_block(data, table, paired, starts, drawn, questions, block) for block in table["temperatures"]],
        "trainings": [*panels.trainings(data), *panels.over_steps(data)],
        "untrained": panels.untrained(data),
        "comparisons": comparisons(data, table["lexicon"]),
        "arms": [provenance.arm_facts(a, data[0].arm.label) for a in data],
        "sets": provenance.set_facts(data),
        "overlaps": provenance.overlaps(data),
        "versions": provenance.versions(data),
        "sampling": provenance.sampling(data),
        "agreements": provenance.agreements(data),
        "lexicons": provenance.lexicons(data),
        "entropies": provenance.entropy_facts(data),
        "base": data[0].arm.label,
        "verdicts": [
            (t, verdict_of(data[0], paired, table["sets"], t))
            for t in [block["temperature"] for block in table["temperatures"]][:1]
        ],
        "fewest": panels.FEWEST,
        "of_the_lab": provenance.of_the_lab(data),
    }


def _block(
    data: Sequence[ArmData],
    table: Mapping[str, Any],
    paired: Sequence[PairedArm],
    starts: Sequence[PairedArm],
    drawn: Sequence[ArmStyle],
    questions: Mapping[str, Sequence[Question]],
    block: Mapping[str, Any],
) -> _Block:
    t, sets = block["temperature"], table["sets"]
    view = View(data, drawn, sets, float(t), table["lexicon"])
    return _Block(
        temperature=t,
        facts=block["sets"],
        plain=[r for r in block["rows"] if not r["control"]],
        controls=[r for r in block["rows"] if r["control"]],
        paired=[(pair, _by_kind(pair, sets, t)) for pair in paired],
        from_starts=[(pair, _by_kind(pair, sets, t)) for pair in starts],
        forests=panels.forests(paired, drawn[1:], sets, t),
        tradeoffs=panels.tradeoffs(block, drawn, sets),
        thinking=[section for section in panels.thinking_sections(view) if section.title],
        reflected=any(a.reflection or a.entropy for a in data),
        questions=question_table(data, questions, float(t)),
    )


def _by_kind(pair: PairedArm, sets: Mapping[str, str], temperature: float) -> dict[str, Any]:
    return {d.kind: d for d in main_deltas(pair.deltas) if (d.set, d.temperature) == (sets.get(d.kind), temperature)}


def _number(value: float, unit: str) -> str:
    """A figure as the table writes it: rates in percent with one decimal."""
    return {"%": f"{100 * value:.1f}", "count": f"{value:.2f}", "tokens": f"{value:.1f}", "nats": f"{value:.3f}"}[unit]


def _bounds(cell: Mapping[str, Any], unit: str) -> str:
    if cell.get("low") is None or cell.get("high") is None:
        return ""
    return f"{_number(cell['low'], unit)}\N{EN DASH}{_number(cell['high'], unit)}"


def _points(value: float) -> str:
    """A signed difference of rates in percentage points, with a true minus sign and no sign on zero."""
    text = f"{100 * value:+.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")


def _p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
