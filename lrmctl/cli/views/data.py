"""What a terminal shows of a data build: its plan, its progress, its result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from lrmctl import console
from lrmctl.builders.plan import BuildPlan
from lrmctl.builders.run import BuiltData


def show_plan(plan: BuildPlan, as_json: bool) -> None:
    """Print what a build would draw and ask."""
    if as_json:
        console.emit_json("data plan", plan)
        return
    rows: list[tuple[str, object]] = [("builder", plan.builder), ("model", f"{plan.model}, {plan.engine}")]
    rows += [(f"{kind} prompts", n) for kind, n in plan.prompts.items()]
    rows += [(f"left out: {reason}", n) for reason, n in plan.left_out.items()]
    if plan.missing:
        rows += [("completions", "not known yet"), ("judge calls", "not known yet")]
    else:
        rows += [("samples per prompt", plan.samples), ("completions", plan.completions)]
        rows += [(f"judge calls, {judge}", f"at most {n}") for judge, n in plan.judge_calls.items()]
    console.table(str(plan.folder), ("what", "plan"), rows)
    for sentence in plan.missing:
        console.say(sentence)


@contextmanager
def stages(name: str) -> Iterator[Callable[[str, int, int], None]]:
    """Show the progress of one stage after the other."""
    with ExitStack() as stack:
        shown: dict[str, Any] = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in shown:
                stack.close()
                shown[stage] = stack.enter_context(console.progress(f"{stage} for {name}"))
            shown[stage](done, total)

        yield show


def show_built(built: BuiltData, as_json: bool) -> None:
    """Print what became of the samples, and where the rows are."""
    summary = built.summary
    if not built.fresh:
        console.say(f"{built.folder.name} is done: nothing to do")
    for sentence in summary["warnings"]:
        console.warn(sentence)
    if as_json:
        console.emit_json("data build", {**summary, "folder": str(built.folder)})
        return
    console.table("", ("samples", "number"), list(summary["samples"].items()))
    if summary["prompts"]:
        console.table("", ("prompts", "number"), list(summary["prompts"].items()))
    for name, found in summary["audit"]["overlap"].items():
        if repeated := found["exact"] + found["near"]:
            console.warn(f"{repeated} prompts of {name} are in the rows")
    console.say(f"{summary['rows']} rows; a recipe names them as `run:{built.folder.name}`")
    console.out.print(built.folder / "rows.jsonl", markup=False)
