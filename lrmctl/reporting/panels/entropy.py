"""Token entropy of the thinking: by outcome, along the thought, at reflections, in unsafe segments, and by token."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from lrmctl.reporting.figures import ArmStyle, Mark, Strip, curve_strips, estimate, interval_rows
from lrmctl.reporting.panels.base import Cell, DataTable, Panel, Section, View, any_of, drawing_name, estimates, heading
from lrmctl.reporting.panels.reflection import by_outcome

_NATS = "token entropy (nats)"
_REFLECTIONS = {
    "at_reflection": Mark("at a reflection word", "bad", "D"),
    "after_reflection": Mark("just after it", "odd", "s", True),
    "elsewhere": Mark("elsewhere", "none", "o"),
}
_SEGMENTS = {"safe": Mark("safe segments", "good", "^"), "unsafe": Mark("unsafe segments", "bad", "X")}
_BOUNDS = {
    "mean_low": Mark("at least", "s1", "o"),
    "mean_high": Mark("at most", "s2", "s", True),
}
_KL = {"kl": Mark("KL to the base", "s1", "o")}
LISTED = 15
"""Tokens in each list."""


def entropy_section(view: View) -> Section:
    """Mean entropy by outcome, its curve, at reflections and elsewhere, by the judge's verdict, and KL to the base."""
    panels: list[Panel] = []
    for kind, set_name in view.shown("entropy"):
        cells = view.cells("entropy", kind, set_name)
        title = heading(kind, set_name, view.sets)
        panels += by_outcome(view, "entropy", kind, set_name, "mean", f"mean {_NATS}")
        panels += _curve(view, kind, set_name, cells, title)
        for key, words, marks, x_label, take in _FIGURES:
            rows = estimates([(look, take(cell)) for look, cell in cells], list(marks))
            if any_of(rows):
                name = view.name("entropy", key, kind, set_name)
                panels.append(
                    Panel(f"{title}: {words}", interval_rows(name, rows, marks, x_label, f"{title}, {words}"))
                )
    return Section(
        "Token entropy of the thinking",
        panels,
        "Exact entropy per thinking token in nats, from the model\N{RIGHT SINGLE QUOTATION MARK}s own logits at T = 1 "
        f"over the full vocabulary, on traces sampled at T = {view.temperature:g}. Bands and bars are 95 % intervals "
        "over prompts; the dashed line repeats the first arm. KL is to the base, per token, on the arm's own thoughts.",
        absent=view.absent("entropy", "an entropy analysis", "`lrmctl analyze`"),
    )


def _same(cell: Cell) -> Cell:
    return cell


def _by_segment(cell: Cell) -> Cell:
    return cell.get("by_segment") or {}


_FIGURES: Sequence[tuple[str, str, Mapping[str, Mark], str, Callable[[Cell], Cell]]] = (
    ("bounds", "bounds of what a server gave", _BOUNDS, f"mean {_NATS}", _same),
    ("at_reflections", "at reflections", _REFLECTIONS, f"mean {_NATS}", _same),
    ("by_segment", "by verdict of the segment", _SEGMENTS, f"mean {_NATS}", _by_segment),
    ("kl", "distance from the base", _KL, "KL per token (nats)", _same),
)


def _curve(view: View, kind: str, set_name: str, cells: Sequence[tuple[ArmStyle, Cell]], title: str) -> Iterator[Panel]:
    strips = []
    for look, cell in cells:
        values = [estimate(point) for point in cell.get("curve") or ()]
        if any(values):
            middles = [(i + 0.5) / len(values) for i in range(len(values))]
            strips.append(Strip(look, middles, values, f"{cell['traces']:,} traces"))
    if strips:
        name = view.name("entropy", "curve", kind, set_name)
        said = f"Mean token entropy in nats by tenth of the thought, {title}"
        yield Panel(f"{title}: along the thought", curve_strips(name, strips, "position in the thought", " nats", said))


def token_section(view: View) -> Section:
    """Forking tokens of each arm, and the tokens that gained and lost most entropy against the base."""
    if view.temperature != min((e["temperature"] for a in view.arms for e in a.summary.get("sets", ())), default=0.0):
        return Section("")  # the lists are of all temperatures; shown once
    forking = _lists(view, "forking", "Forking tokens: count and mean entropy, nats", _frequent)
    changed = [
        _lists(
            view,
            key,
            f"Tokens that {key} entropy: from the base\N{RIGHT SINGLE QUOTATION MARK}s mean to the "
            "arm\N{RIGHT SINGLE QUOTATION MARK}s, nats",
            _changed,
        )
        for key in ("gained", "lost")
    ]
    tables = [table for table in (forking, *changed) if table]
    lacking = [arm.arm.label for arm in view.arms if "forking" not in arm.entropy]
    absent = [f"Without lists of tokens: {', '.join(lacking)}."] if lacking else []
    if not tables:
        absent = ["No arm has lists of tokens; `lrmctl analyze` with a base makes them."]
    return Section(
        "Forking tokens",
        caption="Forking tokens lie above the 80th percentile of the base\N{RIGHT SINGLE QUOTATION MARK}s token "
        f"entropies; the {LISTED} most frequent ones are listed, and the {LISTED} whose mean entropy rose or fell "
        "most. A space at a token's beginning is shown as \N{OPEN BOX}.",
        tables=tables,
        absent=absent,
    )


def _lists(view: View, key: str, title: str, write: Callable[[Mapping[str, Any]], str]) -> DataTable | None:
    """One column of tokens for each arm that has them; None where no arm has."""
    written = [(arm.arm.label, [write(t) for t in (arm.entropy.get(key) or ())[:LISTED]]) for arm in view.arms]
    listed = [(label, tokens) for label, tokens in written if tokens]
    if not listed:
        return None
    rows = [
        [str(i + 1), *(tokens[i] if i < len(tokens) else "" for _, tokens in listed)]
        for i in range(max(len(tokens) for _, tokens in listed))
    ]
    return DataTable(drawing_name("entropy", "tokens", key), title, ["Rank", *(label for label, _ in listed)], rows)


def _frequent(token: Mapping[str, Any]) -> str:
    return f"{_shown(token)}  {token['count']:,}, {token['mean']:.2f}"


def _changed(token: Mapping[str, Any]) -> str:
    return f"{_shown(token)}  {token['base']:.2f} to {token['here']:.2f}"


def _shown(token: Mapping[str, Any]) -> str:
    """The token with its blanks to be seen."""
    return str(token["token"]).replace(" ", "\N{OPEN BOX}").replace("\n", "\\n").replace("\t", "\\t")
