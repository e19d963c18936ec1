"""What `lrmctl run diff` prints: settings, facts and curves of two runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lrmctl import console

if TYPE_CHECKING:
    from lrmctl.comparison.run_diff import CurveEnds, RunDiff


def show(found: RunDiff, a: str, b: str) -> None:
    """Print all tables on stdout; what is alike is said in one line."""
    if found.settings:
        settings = [(d.key, _setting(d.a, d.where_a), _setting(d.b, d.where_b)) for d in found.settings]
        console.table("settings", ("key", a, b), settings)
    if found.facts:
        console.table(
            "versions, data and models", ("what", a, b), [(f.key, _fact(f.a), _fact(f.b)) for f in found.facts]
        )
    if found.same:
        console.out.print("settings, versions, data and models are the same", markup=False)
    (last_a, total_a), (last_b, total_b) = found.steps
    console.out.print(f"steps: {a} {_of(last_a, total_a)}, {b} {_of(last_b, total_b)}", markup=False)
    if not found.curves:
        return
    columns = ("metric", f"{a} last", f"{b} last", f"{a} best", f"{b} best", "differ most at", a, b)
    rows = [
        (
            c.metric,
            _last(c.a),
            _last(c.b),
            _best(c.a),
            _best(c.b),
            _step(c.widest_step),
            _number(c.widest_a),
            _number(c.widest_b),
        )
        for c in found.curves
    ]
    console.table("training", columns, rows)


def _setting(value: object, where: str) -> str:
    return json.dumps(value, ensure_ascii=False) if where else "-"


def _fact(value: object) -> str:
    return "-" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _of(last: int | None, total: int | None) -> str:
    return f"{'-' if last is None else last} of {'?' if total is None else total}"


def _last(ends: CurveEnds | None) -> str:
    return _number(ends.last if ends else None)


def _best(ends: CurveEnds | None) -> str:
    if ends is None or ends.best is None:
        return "-"
    return f"{_number(ends.best)} at step {ends.best_step}"


def _step(step: int | None) -> str:
    return "-" if step is None else f"step {step}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
