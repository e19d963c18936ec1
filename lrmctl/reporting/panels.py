"""Which figures a report has: picks the numbers out of the arms and the main table and has them drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from lrmctl.analysis.cells import ALL
from lrmctl.comparison import main_deltas
from lrmctl.reporting import figures
from lrmctl.reporting.figures import ArmStyle, PlottedEstimate, estimate
from lrmctl.reporting.load import KINDS, ArmData
from lrmctl.reporting.table import PairedArm

KIND_WORDS = {"harmful": "harmful", "benign": "benign", "reasoning": "reasoning"}
METRIC_WORDS = {"joint_safe": "Joint safety", "complied": "Benign compliance", "correct": "Reasoning"}
FEWEST = 10
"""An outcome with fewer traces than this is not drawn: its mean is noise."""
_OUTCOMES = {
    "harmful": ("all", "safe", "unsafe", "malformed"),
    "benign": ("all", "safe", "unsafe", "malformed"),
    "reasoning": ("all", "correct", "incorrect"),
}


class Panel(NamedTuple):
    """One figure with its heading; `svg` was made by us and is not escaped again."""

    title: str
    svg: str


class TrainingCurves(NamedTuple):
    """A row of training curves: those of one RL arm, or the losses of all SFT arms."""

    title: str
    detail: str
    panels: Sequence[Panel]


def tradeoffs(block: Mapping[str, Any], looks: Sequence[ArmStyle]) -> list[Panel]:
    """Joint safety against compliance and against arithmetic, from one temperature's rows of the main table."""
    panels = [_tradeoff(block, looks, x) for x in ("complied", "correct")]
    return [panel for panel in panels if panel]


def _tradeoff(block: Mapping[str, Any], looks: Sequence[ArmStyle], x_key: str) -> Panel | None:
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
    paired: Sequence[PairedArm], looks: Sequence[ArmStyle], sets: Mapping[str, str], temperature: float
) -> list[Panel]:
    """Differences to the base, one panel per main metric. `looks` are those of the paired arms."""
    panels = []
    for kind, set_name in sets.items():
        rows: list[tuple[ArmStyle, PlottedEstimate | None]] = []
        metric = ""
        for look, pair in zip(looks, paired, strict=True):
            mine = [
                d for d in main_deltas(pair.deltas) if (d.kind, d.set, d.temperature) == (kind, set_name, temperature)
            ]
            metric = mine[0].metric if mine else metric
            rows.append(
                (
                    look,
                    PlottedEstimate(*(100 * v for v in (mine[0].delta, mine[0].low, mine[0].high))) if mine else None,
                )
            )
        if metric:
            title = METRIC_WORDS[metric]
            name = f"delta-{kind}-{temperature:g}".replace(".", "_")
            panels.append(Panel(title, figures.forest(name, rows, title)))
    return panels


def analysis_panels(
    arms: Sequence[ArmData],
    looks: Sequence[ArmStyle],
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
            cells = {o: c for o, c in cells.items() if c and (o == ALL or c["traces"] >= FEWEST)}
            found = {o: e for o, cell in cells.items() if (e := estimate(cell[metric]))}
            rows.append((look, found))
        if any(found for _, found in rows):
            name = f"{analysis}-{kind}-{temperature:g}".replace(".", "_")
            title = f"{KIND_WORDS[kind].capitalize()}"
            panels.append(Panel(title, figures.by_outcome(name, rows, x_label, f"{x_label}, {title}")))
    return panels


def trainings(arms: Sequence[ArmData]) -> list[TrainingCurves]:
    """Training curves: one row per arm that has rewards, one row for the losses of all others."""
    rows, losses = [], []
    for i, arm in enumerate(arms):
        panels = list(_curves(f"train-{i}", arm.metrics))
        if arm.metrics and not panels:
            losses += _loss(f"train-{i}", arm)
        elif panels:
            rows.append(TrainingCurves(arm.arm.label, f"RL, {_steps(arm)}", panels))
    return ([TrainingCurves("Fine-tuning", "loss, nats per token", losses)] if losses else []) + rows


def untrained(arms: Sequence[ArmData]) -> list[str]:
    """Labels of arms that have a recipe and no metrics."""
    return [arm.arm.label for arm in arms if arm.lock.get("recipe") and not arm.metrics]


def _steps(arm: ArmData) -> str:
    return f"{int(arm.metrics[-1]['step'])} steps"


def _loss(name: str, arm: ArmData) -> list[Panel]:
    if not any("loss" in row for row in arm.metrics):
        return []
    drawn = _panel(name, "Loss", arm.metrics, [("loss", "loss", figures.series_color(1))])
    return [drawn._replace(title=f"{arm.arm.label}, {_steps(arm)}")]


def _curves(name: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[Panel]:
    """Panels of a run that has rewards; none for a run that has not."""
    keys = {key for row in rows for key in row}
    by_kind = [(f"reward/{k}", k, figures.KIND_COLORS[k]) for k in KINDS if f"reward/{k}" in keys]
    components = sorted(k for k in keys if k.startswith("reward/") and k not in {key for key, _, _ in by_kind})
    if "reward" in keys:
        yield _panel(
            f"{name}-kinds", "Reward by prompt kind", rows, [("reward", "all", figures.KIND_COLORS["all"]), *by_kind]
        )
    if components:
        lines = [(k, k.removeprefix("reward/"), figures.series_color(i + 1)) for i, k in enumerate(components)]
        yield _panel(f"{name}-components", "Reward by component", rows, lines)
    rest = {
        "kl": "KL to the base (nats per token)",
        "entropy": "Entropy of rollouts (nats per token)",
        "response_length": "Response length (tokens)",
    }
    if "reward" not in keys:
        return
    for key, title in rest.items():
        if key in keys:
            yield _panel(f"{name}-{key}", title, rows, [(key, title, figures.series_color(1))])


def _panel(name: str, title: str, rows: Sequence[Mapping[str, Any]], lines: Sequence[tuple[str, str, str]]) -> Panel:
    """`lines`: (key of metrics.jsonl, label, colour)."""
    drawn = [(label, color, [(r["step"], r[key]) for r in rows if key in r]) for key, label, color in lines]
    return Panel(title, figures.curves(name, [d for d in drawn if d[2]], title))
