"""A study's dry run on the terminal: what each arm takes on each base, and all of it together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lrmctl import console
from lrmctl.cli.views.cost import UNKNOWN, judge_rows
from lrmctl.planning import render as words
from lrmctl.planning.cost import gpu_money, judge_money

if TYPE_CHECKING:
    from lrmctl.studies.dry_run import StageEstimate, StudyPlan, Total


def show(plan: StudyPlan, notes: Sequence[str]) -> None:
    """Print all tables on stdout.

    Args:
        notes: of validating the recipe.
    """
    from lrmctl.studies.dry_run import NO_HOURS, unknowns

    seeds = [str(seed) for seed in plan.seeds if seed is not None]
    told = f"{len(seeds)} training seeds ({', '.join(seeds)})" if len(seeds) > 1 else "one training seed"
    size = f"{plan.cells} cells on {len(plan.bases)} base(s) with {told}"
    console.out.print(f"{plan.name}: {size}; {plan.limit}", markup=False)
    columns = ("base", "arm", "stage", "starts from", "runs", "GPUs", "completions", "judge calls", "disk each", "took")
    console.table("one run of each stage", columns, [_row(one) for one in plan.stages])
    console.table("all runs", ("stage", "runs", "completions", "judge calls", "disk at most", "kept"), _totals(plan))
    console.out.print(f"hours and GPU hours: {_hours(plan) or NO_HOURS}", markup=False)
    for line in _cost(plan):
        console.out.print(line, markup=False)
    for note in [*unknowns(plan.stages), *notes]:
        console.out.print(f"- {note}", markup=False)
    console.out.print("planned; nothing was started", markup=False)


def _row(one: StageEstimate) -> tuple[object, ...]:
    disk = words.size(one.disk_bytes) if one.stage == "train" else "-"
    figures = (_count(one.completions), _count(one.judge_calls))
    took = "-" if one.seconds is None else console.duration(one.seconds)
    return (one.base, one.arm, one.stage, one.start or "-", one.runs, _gpus(one), *figures, disk, took)


def _hours(plan: StudyPlan) -> str:
    """Hours one after the other, as far as they are known; empty if nothing is."""
    (hours, unknown), (gpu_hours, _) = plan.hours(), plan.hours(gpu=True)
    if unknown == plan.runs():
        return ""
    rest = f", and {unknown} of {plan.runs()} runs of which none has finished yet" if unknown else ""
    rated = sum(one.runs for one in plan.stages if one.rated)
    how = f"as long as finished ones took, {rated} runs at most by the rates stated" if rated else ""
    how = how if rated < plan.runs() - unknown else "at most, by the rates stated"
    how = how or "as long as finished ones took"
    return f"{hours:.1f} h one after the other, {gpu_hours:.1f} GPU hours, {how}{rest}"


def _cost(plan: StudyPlan) -> list[str]:
    """Money of what is known; nothing without prices."""
    prices, judges, unknown = plan.prices, plan.server_judges, plan.hours()[1]
    found = []
    if prices.gpu_hour is not None:
        money = gpu_money(plan.hours(gpu=True)[0], prices) or 0.0
        rest = f", and {unknown} of {plan.runs()} runs whose hours are {UNKNOWN}" if unknown else ""
        found.append(f"GPUs cost: {UNKNOWN if unknown == plan.runs() else prices.amount(money) + rest}")
    if judges.calls:
        lines = judge_rows(judges, judge_money(judges, prices), prices)
        found += [f"{name}: {figure} ({how})" for name, figure, how in lines]
    return found


def _gpus(one: StageEstimate) -> str:
    return f"{one.gpus} on {one.nodes} nodes" if one.nodes > 1 else str(one.gpus or "-")


def _totals(plan: StudyPlan) -> list[tuple[object, ...]]:
    names = list(dict.fromkeys(one.stage for one in plan.stages))
    rows = []
    for name in [*names, ""]:
        disk = [_total(plan.total(key, "train"), size=True) for key in ("disk_bytes", "kept_bytes")]
        figures = [_total(plan.total(key, name)) for key in ("completions", "judge_calls")]
        rows.append((name or "all", plan.runs(name), *figures, *(disk if name in ("train", "") else ("-", "-"))))
    return rows


def _total(total: Total, *, size: bool = False) -> str:
    """A sum, which is a lower bound where some of it is not known."""
    if total.unknown and not total.known:
        return UNKNOWN
    text = words.size(total.known) if size else words.number(total.known)
    return f"{text} + {total.unknown} runs {UNKNOWN}" if total.unknown else text


def _count(value: int | None) -> str:
    return UNKNOWN if value is None else words.number(value) if value else "-"
