"""The main table as data: arms x metrics at each temperature. What the page shows is what `table.json` holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lrmctl.comparison import Delta, is_held_out, pair
from lrmctl.errors import LrmctlError
from lrmctl.metrics.remarks import answer_alone
from lrmctl.reporting.load import ArmData, primary_sets, temperatures

FORMAT = 1


class Column(NamedTuple):
    """One column: where its figure comes from and how it is written.

    Attributes:
        source: `summary`, `reflection` or `entropy`.
        unit: `%` (a rate), `count`, `tokens` or `nats`.
        better: `higher`, `lower`, or empty where neither is good in itself.
    """

    key: str
    title: str
    kind: str
    source: str
    metric: str
    unit: str
    better: str = ""


COLUMNS = (
    Column("joint_safe", "Thinking and answer safe", "harmful", "summary", "joint_safe", "%", "higher"),
    Column("thinking_safe", "Thinking safe", "harmful", "summary", "thinking_safe", "%", "higher"),
    Column("answer_safe", "Answer safe", "harmful", "summary", "answer_safe", "%", "higher"),
    Column("joint_unsafe", "Unsafe", "harmful", "summary", "joint_unsafe", "%", "lower"),
    Column("joint_malformed", "Malformed", "harmful", "summary", "joint_malformed", "%", "lower"),
    Column("complied", "Complied", "benign", "summary", "complied", "%", "higher"),
    Column("correct", "Correct", "reasoning", "summary", "correct", "%", "higher"),
    Column("reflection_harmful", "Harmful", "harmful", "reflection", "per_trace", "count"),
    Column("reflection_reasoning", "Reasoning", "reasoning", "reflection", "per_trace", "count"),
    Column("entropy_harmful", "Harmful", "harmful", "entropy", "mean", "nats"),
    Column("entropy_reasoning", "Reasoning", "reasoning", "entropy", "mean", "nats"),
)


OF_ANSWER = {"joint_unsafe": "answer_unsafe", "joint_malformed": "answer_malformed"}
"""What stands in for a figure of both parts where no judge read the thinking; never for "both safe"."""

FORM = (
    Column("refused_harmful", "Harmful", "harmful", "summary", "refused", "%"),
    Column("refused_benign", "Benign", "benign", "summary", "refused", "%", "lower"),
    Column("unclosed_harmful", "Harmful", "harmful", "summary", "unclosed", "%", "lower"),
    Column("unclosed_reasoning", "Reasoning", "reasoning", "summary", "unclosed", "%", "lower"),
    Column("cut_harmful", "Harmful", "harmful", "summary", "cut", "%", "lower"),
    Column("cut_reasoning", "Reasoning", "reasoning", "summary", "cut", "%", "lower"),
    Column("judge_failed_harmful", "Harmful", "harmful", "summary", "judge_failed", "%", "lower"),
    Column("judge_failed_benign", "Benign", "benign", "summary", "judge_failed", "%", "lower"),
    Column("tokens_harmful", "Harmful", "harmful", "summary", "thinking_tokens", "tokens"),
    Column("tokens_reasoning", "Reasoning", "reasoning", "summary", "thinking_tokens", "tokens"),
)
"""What decides whether the main table can be believed: cut or unclosed traces, failed judges, lengths."""

REASONING = (
    Column("reflection_1k_harmful", "Harmful", "harmful", "reflection", "per_1k", "count"),
    Column("reflection_1k_reasoning", "Reasoning", "reasoning", "reflection", "per_1k", "count"),
    Column("reflection_share_harmful", "Harmful", "harmful", "reflection", "share", "%"),
    Column("reflection_share_reasoning", "Reasoning", "reasoning", "reflection", "share", "%"),
    Column("entropy_benign", "Benign", "benign", "entropy", "mean", "nats"),
    Column("entropy_above_harmful", "Harmful", "harmful", "entropy", "above", "%"),
    Column("entropy_above_benign", "Benign", "benign", "entropy", "above", "%"),
    Column("entropy_above_reasoning", "Reasoning", "reasoning", "entropy", "above", "%"),
)
"""Reflection and entropy beyond the two means of the main table."""


def lexicon_shown(arms: Sequence[ArmData]) -> str:
    """The lexicon of the main table: the lab's own where every set is the lab's and it was counted, else the first."""
    names = [name for a in arms for name in a.reflection.get("lexicons", ())]
    sets = [entry["set"] for a in arms for entry in a.summary.get("sets", ())]
    if all(name.startswith(("lab-", "lab_")) for name in sets) and "lab" in names:
        return "lab"
    return next((name for name in names if name != "lab"), next(iter(names), ""))


def main_table(arms: Sequence[ArmData], title: str) -> dict[str, Any]:
    """The content of `table.json`, without the paired deltas."""
    sets = primary_sets(arms)
    lexicon = lexicon_shown(arms)
    return {
        "format": FORMAT,
        "title": title,
        "sets": sets,
        "lexicon": lexicon,
        "columns": [column._asdict() for column in COLUMNS],
        "form": [column._asdict() for column in FORM],
        "reasoning": [column._asdict() for column in REASONING],
        "temperatures": [
            {
                "temperature": t,
                "sets": {kind: facts_of_set(arms, kind, name, t) for kind, name in sets.items()},
                "rows": [_row(arm, sets, t, lexicon) for arm in arms],
            }
            for t in temperatures(arms)
        ],
    }


def facts_of_set(arms: Sequence[ArmData], kind: str, name: str, temperature: float) -> dict[str, Any]:
    """What a caption must say of a set: size, samples, judge. Values of all arms, because arms may differ."""
    entries = [e for a in arms if (e := a.set_entry(kind, name, temperature)) is not None]

    def values(key: str) -> list[Any]:
        found = {e.get(key) for e in entries} - {None, ""}
        return sorted(found, key=str)

    judges = sorted({f"{e['judge']} {e.get('judge_version') or ''}".strip() for e in entries if e.get("judge")})
    return {
        "set": name,
        "held_out": is_held_out(name),
        "prompts": values("prompts"),
        "samples": values("samples"),
        "judges": judges,
    }


def _row(arm: ArmData, sets: Mapping[str, str], temperature: float, lexicon: str) -> dict[str, Any]:
    return {
        "name": arm.arm.name,
        "label": arm.arm.label,
        "control": arm.arm.control,
        "start": arm.arm.start,
        "state": arm.status.get("state", ""),
        "cells": {c.key: _value(arm, c, sets.get(c.kind), temperature, lexicon) for c in (*COLUMNS, *FORM, *REASONING)},
    }


def _value(arm: ArmData, column: Column, set_name: str | None, temperature: float, lexicon: str) -> Any:
    """`{"value", "low", "high", "n"}` as the stage wrote it, or None where there is none."""
    if set_name is None:
        return None
    if column.source == "summary":
        entry = arm.set_entry(column.kind, set_name, temperature)
        found = entry["metrics"].get(column.metric) if entry else None
        if entry and column.metric in OF_ANSWER and (not found or found.get("value") is None):
            alone = entry["metrics"].get(OF_ANSWER[column.metric])
            found = {**alone, "of": "answer alone"} if alone else found
        if found and entry and answer_alone(entry) and column.metric.startswith(("joint_", "complied")):
            found = {**found, "of": "answer alone"}
    else:
        also = {"lexicon": lexicon} if column.source == "reflection" else {}
        cell = arm.cell(column.source, column.kind, set_name, temperature, **also)
        found = cell.get(column.metric) if cell else None
    return found if found and found.get("value") is not None else None


class PairedArm(NamedTuple):
    """An arm against another one, mostly the base: its deltas, or why it could not be paired.

    Attributes:
        start: label of the other one, if it is the arm's own start.
    """

    arm: ArmData
    deltas: Sequence[Delta]
    reason: str = ""
    start: str = ""


def deltas_to_first(arms: Sequence[ArmData]) -> list[PairedArm]:
    """Every later arm paired with the first; an arm that cannot be paired says why."""
    base, *others = arms
    return [_paired(base, arm) for arm in others]


def deltas_to_starts(arms: Sequence[ArmData]) -> list[PairedArm]:
    """Every arm whose training started from another arm, paired with that one."""
    by_name = {arm.arm.name: arm for arm in arms}
    found = []
    for arm in arms:
        if arm.arm.start:
            start = by_name.get(arm.arm.start)
            absent = PairedArm(arm, (), f"its start, {arm.arm.start}, is not in this report")
            pair = absent if start is None else _paired(start, arm)
            found.append(pair._replace(start=arm.arm.start if start is None else start.arm.label))
    return found


def _paired(base: ArmData, arm: ArmData) -> PairedArm:
    for side in (base, arm):
        if not side.evaluated:
            return PairedArm(arm, (), f"{side.arm.label} has no evaluated rows")
    try:
        return PairedArm(arm, pair(base.evaluated, arm.evaluated, names=(base.arm.label, arm.arm.label)))
    except LrmctlError as error:  # a study may hold arms of different evaluations; the reader is told
        return PairedArm(arm, (), error.what)
