"""Every set that was evaluated, beside the one of each kind that the main table and the figures show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lrmctl.comparison import Delta, main_deltas
from lrmctl.reporting.load import KINDS, ArmData
from lrmctl.reporting.table import OF_ANSWER, PairedArm, facts_of_set

METRICS = {
    "harmful": {
        "joint_safe": "Both safe",
        "thinking_safe": "Thinking safe",
        "answer_safe": "Answer safe",
        "joint_unsafe": "Unsafe",
        "joint_malformed": "Malformed",
        "refused": "Refused",
    },
    "benign": {"complied": "Complied", "refused": "Refused", "joint_unsafe": "Unsafe"},
    "reasoning": {"correct": "Correct", "unclosed": "Thinking not closed", "cut": "Cut at the limit"},
}
"""Rates of each kind: name in the summary -> title. The first one is the kind's main score."""


def every_set(arms: Sequence[ArmData], paired: Sequence[PairedArm]) -> list[dict[str, Any]]:
    """One table per kind: a block per set and temperature, a row per arm that has it; in the order of evaluation."""
    tables = []
    for kind in KINDS:
        cells = dict.fromkeys(
            (e["set"], e["temperature"]) for a in arms for e in a.summary.get("sets", ()) if e["kind"] == kind
        )
        if cells:
            blocks = [_block(arms, paired, kind, name, temperature) for name, temperature in cells]
            compared = {row["delta"]["metric"] for block in blocks for row in block["rows"] if row["delta"]}
            titles = [title for metric, title in METRICS[kind].items() if metric in compared]
            main = " or ".join(titles) or next(iter(METRICS[kind].values()))
            tables.append({"kind": kind, "metrics": METRICS[kind], "main": main, "blocks": blocks})
    return tables


def _block(
    arms: Sequence[ArmData], paired: Sequence[PairedArm], kind: str, name: str, temperature: float
) -> dict[str, Any]:
    rows = [
        {
            "name": arm.arm.name,
            "label": arm.arm.label,
            "control": arm.arm.control,
            "cells": {metric: _figure(entry, metric) for metric in METRICS[kind]},
            "delta": _delta(paired, arm, (kind, name, temperature)),
        }
        for arm in arms
        if (entry := arm.set_entry(kind, name, temperature)) is not None
    ]
    return {**facts_of_set(arms, kind, name, temperature), "temperature": temperature, "rows": rows}


def _figure(entry: Mapping[str, Any], metric: str) -> Any:
    """The figure, or that of the answer where no judge read the thinking and the metric is not "both safe"."""
    metrics = entry["metrics"]
    for name in (metric, OF_ANSWER.get(metric, metric)):
        if (found := metrics.get(name)) and found.get("value") is not None:
            return found
    return None


def _delta(paired: Sequence[PairedArm], arm: ArmData, cell: tuple[str, str, float]) -> dict[str, Any] | None:
    """The difference to the first arm in the kind's main score; None where nothing was paired."""
    deltas = next((pair.deltas for pair in paired if pair.arm is arm), ())
    found: Delta | None = next((d for d in main_deltas(deltas) if (d.kind, d.set, d.temperature) == cell), None)
    return None if found is None else found.to_json()
