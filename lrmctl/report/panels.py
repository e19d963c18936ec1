"""Which figures a report has: picks the numbers out of the arms and the main table and has them drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from lrmctl.compare import main_deltas
from lrmctl.report import figures
from lrmctl.report.figures import Estimate, Look, estimate
from lrmctl.report.load import KINDS, ArmData
from lrmctl.report.table import Paired

KIND_WORDS = {"harmful": "harmful", "benign": "benign look-alikes", "reasoning": "arithmetic"}
METRIC_WORDS = {"joint_safe": "Joint safety", "complied": "Benign compliance", "correct": "Arithmetic"}
_OUTCOMES = {
    "harmful": ("all", "safe", "unsafe", "malformed"),
    "benign": ("all", "safe", "unsafe", "malformed"),
    "reasoning": ("all", "correct", "incorrect"),
}


class Panel(NamedTuple):
    """One figure with its heading; `svg` was made by us and is not escaped again."""

    title: str
    svg: str


class Training(NamedTuple):
    """An arm's training curves, or why there are none."""

    label: str
    kind: str
    steps: int
    panels: Sequence[Panel]


def tradeoffs(table: Mapping[str, Any], looks: Sequence[Look]) -> list[tuple[float, list[Panel]]]:
    """Joint safety against compliance and against arithmetic, at each temperature."""
    found = []
    for block in table["temperatures"]:
        panels = [_tradeoff(block, looks, x) for x in ("complied", "correct")]
        found.append((block["temperature"], [p for p in panels if p]))
    return [(t, panels) for t, panels in found if panels]


def _tradeoff(block: Mapping[str, Any], looks: Sequence[Look], x_key: str) -> Panel | None:
    points = []
    for look, row in zip(looks, block["rows"], strict=True):
        x, y = (estimate(row["cells"][key], 100) for key in (x_key, "joint_safe"))
        if x and y:
            points.append((look, x, y))
    if not points:
        return None
    name = f"trade-{x_key}-{block['temperature']:g}".replace(".", "_")
    svg = figures.tradeoff(name, points, METRIC_WORDS[x_key], "Joint safety")
    return Panel(f"Joint safety and {METRIC_WORDS[x_key].lower()}", svg)


def forests(
    paired: Sequence[Paired], looks: Sequence[Look], sets: Mapping[str, str], temperature: float
) -> list[Panel]:
    """Differences to the base, one panel per main metric. `looks` are those of the paired arms."""
    panels = []
    for kind, set_name in sets.items():
        rows: list[tuple[Look, Estimate | None]] = []
        metric = ""
        for look, pair in zip(looks, paired, strict=True):
            mine = [
                d for d in main_deltas(pair.deltas) if (d.kind, d.set, d.temperature) == (kind, set_name, temperature)
            ]
            metric = mine[0].metric if mine else metric
            rows.append(
                (look, Estimate(*(100 * v for v in (mine[0].delta, mine[0].low, mine[0].high))) if mine else None)
            )
        if metric:
            title = METRIC_WORDS[metric]
            name = f"delta-{kind}-{temperature:g}".replace(".", "_")
            panels.append(Panel(title, figures.forest(name, rows, title)))
    return panels


def analysis_panels(
    arms: Sequence[ArmData],
    looks: Sequence[Look],
    sets: Mapping[str, str],
    temperature: float,
    analysis: str,
    metric: str,
    x_label: str,
    **also: str,
) -> list[Panel]:
    """One panel per prompt kind: each arm's figure by outcome."""
    panels = []
    for kind, set_name in sets.items():
        rows = []
        for look, arm in zip(looks, arms, strict=True):
            cells = {o: arm.cell(analysis, kind, set_name, temperature, o, **also) for o in _OUTCOMES[kind]}
            found = {o: e for o, cell in cells.items() if cell and (e := estimate(cell[metric]))}
            rows.append((look, found))
        if any(found for _, found in rows):
            name = f"{analysis}-{kind}-{temperature:g}".replace(".", "_")
            title = f"{KIND_WORDS[kind].capitalize()}"
            panels.append(Panel(title, figures.by_outcome(name, rows, x_label, f"{x_label}, {title}")))
    return panels


def trainings(arms: Sequence[ArmData]) -> list[Training]:
    """Training curves of every arm that has a recipe or metrics."""
    return [_training(i, arm) for i, arm in enumerate(arms) if arm.metrics or arm.lock.get("recipe")]


def _training(index: int, arm: ArmData) -> Training:
    kind = str(arm.lock.get("recipe", {}).get("kind", ""))
    steps = int(arm.metrics[-1]["step"]) if arm.metrics else 0
    return Training(arm.arm.label, kind, steps, list(_curves(f"train-{index}", arm.metrics)))


def _curves(name: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[Panel]:
    keys = {key for row in rows for key in row}
    by_kind = [(f"reward/{k}", k, figures.KIND_COLORS[k]) for k in KINDS if f"reward/{k}" in keys]
    components = sorted(k for k in keys if k.startswith("reward/") and k not in {key for key, _, _ in by_kind})
    if "reward" in keys:
        yield _panel(
            f"{name}-kinds", "Reward by prompt kind", rows, [("reward", "all", figures.KIND_COLORS["all"]), *by_kind]
        )
    if components:
        lines = [(k, k.removeprefix("reward/"), figures.series_color(i + 1)) for i, k in enumerate(components)]
        yield _panel(f"{name}-components", "Reward by component, where it applies", rows, lines)
    rest = {"kl": "KL to the base (nats per token)", "response_length": "Response length (tokens)"}
    if "reward" not in keys:
        rest = {"loss": "Loss (nats per token)"}
    for key, title in rest.items():
        if key in keys:
            yield _panel(f"{name}-{key}", title, rows, [(key, title, figures.series_color(1))])


def _panel(name: str, title: str, rows: Sequence[Mapping[str, Any]], lines: Sequence[tuple[str, str, str]]) -> Panel:
    """`lines`: (key of metrics.jsonl, label, colour)."""
    drawn = [(label, color, [(r["step"], r[key]) for r in rows if key in r]) for key, label, color in lines]
    return Panel(title, figures.curves(name, [d for d in drawn if d[2]], title))
