"""Training curves: one row for each arm that has rewards, and one for the losses of all others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from lrmctl.reporting.figures import PlottedEstimate, estimate, step_estimates, training_curves
from lrmctl.reporting.figures.theme import KIND_COLORS, SERIES
from lrmctl.reporting.load import KINDS, ArmData, primary_sets, temperatures
from lrmctl.reporting.panels.base import Panel, drawing_name

_REST = {
    "kl": "KL to the base (nats per token)",
    "entropy": "Entropy of rollouts (nats per token)",
    "response_length": "Response length (tokens)",
}


class TrainingCurves(NamedTuple):
    """A row of training curves: those of one RL arm, or the losses of all others."""

    title: str
    detail: str
    panels: Sequence[Panel]


def trainings(arms: Sequence[ArmData]) -> list[TrainingCurves]:
    """Training curves: one row per arm that has rewards, one row for the losses of all others."""
    rows, losses = [], []
    for i, arm in enumerate(arms):
        panels = list(_curves(f"{i}_{arm.arm.name}", arm.metrics))
        if arm.metrics and not panels:
            losses += _loss(f"{i}_{arm.arm.name}", arm)
        elif panels:
            rows.append(TrainingCurves(arm.arm.label, f"RL, {_steps(arm)}", panels))
    pairs = any((arm.lock.get("recipe") or {}).get("kind") == "preference" for arm in arms)
    detail = "loss, nats per token" + ("; of preference training, per pair" if pairs else "")
    return ([TrainingCurves("Fine-tuning", detail, losses)] if losses else []) + rows


def over_steps(arms: Sequence[ArmData]) -> list[TrainingCurves]:
    """For each arm whose training steps were evaluated: safety, over-refusal and reasoning by step."""
    rows = []
    for i, arm in enumerate(arms):
        if arm.steps:
            title = "Evaluated at training steps, %"
            drawing = step_estimates(drawing_name("steps", f"{i}_{arm.arm.name}"), list(_step_lines(arm)), title)
            rows.append(
                TrainingCurves(
                    arm.arm.label, f"{len(arm.steps)} steps evaluated; bars are 95 % intervals", [Panel(title, drawing)]
                )
            )
    return rows


_STEP_METRICS = (
    ("harmful", "thinking_safe", "thinking safe", SERIES[0]),
    ("harmful", "answer_safe", "answer safe", SERIES[1]),
    ("benign", "refused", "over-refusal", SERIES[2]),
    ("reasoning", "correct", "reasoning", SERIES[3]),
)


def _step_lines(arm: ArmData) -> Iterator[tuple[str, str, list[tuple[int, PlottedEstimate]]]]:
    """On the set that stands for each kind of prompt, at the lowest temperature."""
    at_steps = {step: replace(arm, summary=summary) for step, summary in arm.steps.items()}
    sets, lowest = primary_sets(list(at_steps.values())), min(temperatures(list(at_steps.values())), default=0.0)
    for kind, metric, label, color in _STEP_METRICS:
        points = []
        for step, data in at_steps.items():
            entry = data.set_entry(kind, sets.get(kind, ""), lowest)
            if found := estimate(entry["metrics"].get(metric) if entry else None, 100):
                points.append((step, found))
        if points:
            yield label, color, points


def untrained(arms: Sequence[ArmData]) -> list[str]:
    """Labels of arms that have a recipe and no metrics."""
    return [arm.arm.label for arm in arms if arm.lock.get("recipe") and not arm.metrics]


def _steps(arm: ArmData) -> str:
    return f"{int(arm.metrics[-1]['step'])} steps"


def _loss(name: str, arm: ArmData) -> list[Panel]:
    if not any("loss" in row for row in arm.metrics):
        return []
    drawn = _panel((name, "loss"), "Loss", arm.metrics, [("loss", "loss", SERIES[1])])
    return [drawn._replace(title=f"{arm.arm.label}, {_steps(arm)}")]


def _curves(name: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[Panel]:
    """Panels of a run that has rewards; none for a run that has not."""
    keys = {key for row in rows for key in row}
    if "reward" not in keys and not any(k.startswith("reward/") for k in keys):
        return
    by_kind = [(f"reward/{k}", k, KIND_COLORS[k]) for k in KINDS if f"reward/{k}" in keys]
    components = sorted(k for k in keys if k.startswith("reward/") and k not in {key for key, _, _ in by_kind})
    if "reward" in keys:
        lines = [("reward", "all", KIND_COLORS["all"]), *by_kind]
        yield _panel((name, "reward-by-kind"), "Reward by prompt kind", rows, lines)
    if components:
        lines = [(k, k.removeprefix("reward/"), SERIES[(i + 1) % len(SERIES)]) for i, k in enumerate(components)]
        yield _panel((name, "reward-by-component"), "Reward by component", rows, lines)
    if "reward" in keys:
        for key, title in _REST.items():
            if key in keys:
                yield _panel((name, key), title, rows, [(key, title, SERIES[1])])


def _panel(
    name: tuple[str, str], title: str, rows: Sequence[Mapping[str, Any]], lines: Sequence[tuple[str, str, str]]
) -> Panel:
    """`lines`: (key of metrics.jsonl, label, colour)."""
    drawn = [(label, color, [(r["step"], r[key]) for r in rows if key in r]) for key, label, color in lines]
    return Panel(title, training_curves(drawing_name("training", *name), [d for d in drawn if d[2]], title))
