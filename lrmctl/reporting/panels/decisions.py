"""What the thought does to the answer: answers from a cut thought, and answers after a forced unsafe beginning."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lrmctl.reporting.figures import ArmStyle, Mark, Strip, curve_strips, estimate, interval_rows
from lrmctl.reporting.panels.base import Cell, DataTable, Panel, Section, View, any_of, estimates, heading, written

_SETTLED = {
    "settled": Mark("settled at this share of the thought", "ink", "o"),
    "unmoved": Mark("traces settled without any thought", "s1", "D", True),
}
_CURVES = {
    "curve": ("same_outcome", "same answers as with all of it", "answers are as those from all of the thought"),
    "good": ("good_answers", "good answers", "answers are good: safe, complying or correct"),
}


def early_section(view: View) -> Section:
    """Share of traces whose answer from a cut thought already has the final outcome."""
    panels: list[Panel] = []
    for kind, set_name in view.shown("early"):
        cells = view.cells("early", kind, set_name)
        title = heading(kind, set_name, view.sets)
        for key, (short, words, longer) in _CURVES.items():
            strips = [strip for look, cell in cells if (strip := _tenths(look, cell.get(key) or ()))]
            if strips:
                name = view.name("early", short, kind, set_name)
                said = f"Share whose {longer}, by share of the thought kept, {title}"
                drawn = curve_strips(name, strips, "thought kept (%)", " %", said, x_limits=(0, 100), top=100)
                panels.append(Panel(f"{title}: {words}", drawn))
        rows = estimates(cells, list(_SETTLED), 100)
        if any_of(rows):
            name = view.name("early", "settled", kind, set_name)
            said = f"Share of the thought after which the outcome no longer changes, {title}"
            drawn = interval_rows(name, rows, _SETTLED, "%", said, limit=100)
            panels.append(Panel(f"{title}: when the outcome is settled", drawn))
    return Section(
        "Does the thought matter?",
        panels,
        "The thought is cut at 0 %, 10 % ... 100 % and the model answers at once. High from the start: the answer did "
        "not need the thought. Good: safe (harmful prompts), complying safely (benign) or correct. Settled: the mean "
        "share of the thought after which answers no longer change. The "
        f"dashed line repeats the first arm.{_judge(view, 'early')}",
        absent=view.absent("early", "an analysis of answers from cut thoughts", "`analysis.early` in the recipe"),
    )


def recovery_section(view: View) -> Section:
    """Safety of the answer after the first tokens of an unsafe thought were forced on the model."""
    panels: list[Panel] = []
    tables: list[DataTable] = []
    for kind, set_name in view.shown("recovery"):
        cells = view.cells("recovery", kind, set_name)
        title = heading(kind, set_name, view.sets)
        strips = []
        for look, cell in cells:
            xs, values = [p["tokens"] for p in cell["curve"]], [estimate(p["safe"], 100) for p in cell["curve"]]
            if any(values):
                strips.append(Strip(look, xs, values, _prompts([p["safe"] for p in cell["curve"]])))
        if strips:
            most = max(x for strip in strips for x in strip.xs)
            name = view.name("recovery", "safe_after_forced_prefix", kind, set_name)
            said = f"Safe answers in percent by number of forced tokens, {title}"
            drawn = curve_strips(name, strips, "forced tokens", " %", said, x_limits=(0, most or 1), top=100)
            panels.append(Panel(f"{title}: safe after a forced unsafe beginning", drawn))
            tables.append(_table(view, kind, set_name, cells, title))
    sources = sorted({Path(a.recovery["prefixes_of"]).name for a in view.arms if a.recovery.get("prefixes_of")})
    of = f" The prefixes are the first tokens of unsafe thoughts of {', '.join(sources)}." if sources else ""
    return Section(
        "Recovery from a forced unsafe beginning",
        panels,
        "The thought begins with that many tokens of an unsafe thought, and the model goes on by itself. The dashed "
        f"line repeats the first arm.{of}{_judge(view, 'recovery')}",
        tables,
        view.absent("recovery", "recovery curves", "`analysis.recovery` in the recipe"),
    )


def _table(view: View, kind: str, set_name: str, cells: Sequence[tuple[ArmStyle, Cell]], title: str) -> DataTable:
    """Safe and malformed answers by number of forced tokens."""
    rows = [
        [look.full_label, str(point["tokens"]), written(point["safe"], 100), written(point.get("malformed"), 100)]
        for look, cell in cells
        for point in cell["curve"]
    ]
    name = view.name("recovery", "table", kind, set_name)
    return DataTable(name, f"{title}: after forced tokens, %", ["Arm", "forced tokens", "safe", "malformed"], rows)


def _tenths(look: ArmStyle, curve: Sequence[Cell | None]) -> Strip | None:
    """A curve from no thought to all of it; None where nothing was measured."""
    values = [estimate(point, 100) for point in curve]
    if not any(values):
        return None
    return Strip(look, [100 * i / (len(values) - 1) for i in range(len(values))], values, _prompts(curve))


def _prompts(curve: Sequence[Cell | None]) -> str:
    """How many prompts a curve is over; they may differ along it."""
    counts = sorted({int(point["n"]) for point in curve if point and point.get("n")})
    if not counts:
        return ""
    return f"n = {counts[0]}" if len(counts) == 1 else f"n = {counts[0]}\N{EN DASH}{counts[-1]}"


def _judge(view: View, analysis: str) -> str:
    said = {
        f"{one['judge']} {one.get('judge_version') or ''}".strip()
        for arm in view.arms
        for one in getattr(arm, analysis).get("judges") or [getattr(arm, analysis)]
        if one.get("judge")
    }
    return f" Judge: {' or '.join(sorted(said))}." if said else ""
