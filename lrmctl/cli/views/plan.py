"""A dry run on the terminal: what would run where, the resources it needs, the data. 100 columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from lrmctl.cli.views import cost
from lrmctl.planning import render as words

if TYPE_CHECKING:
    from lrmctl.data.audit import Audit, Histogram, Repeats
    from lrmctl.planning import PlanSummary
    from lrmctl.training.dry_run import DryRun
    from lrmctl.training.plan import TrainingPlan

WIDTH = 100
_SHOWN = 600
_COLOURS = {"fits": "green", "tight": "yellow", "does not fit": "bold red", "unknown": "yellow"}


def show(run: DryRun) -> None:
    """Print all sections on stdout."""
    from lrmctl import console

    wide = min(WIDTH, console.out.width) if console.out.is_terminal else WIDTH
    Console(width=wide, highlight=False, emoji=False).print(Group(*view(run)))


def view(run: DryRun) -> list[Any]:
    """The sections as rich renderables."""
    plan, summary = run.plan, run.plan.summary
    return [
        _title(plan),
        *_section("Layout", _layout(summary)),
        *_section("Numbers", _numbers(plan)),
        *_section("Memory per GPU" if summary.placement.gpus else "Memory of this host", _memory(summary)),
        *_section("Cost", [_table(("", "", ""), cost.rows(run.cost))] if run.cost else []),
        *_section("Data", _audit(run.audit)),
        *_section("First row", _example(run)),
        *_section("Command", _command(plan)),
        *_section("Notes", [f"- {note}" for note in plan.backend_plan.notes]),
        Text("\nplanned; nothing was started"),
    ]


def _title(run: TrainingPlan) -> Text:
    shape, plan = run.summary.shape, run.backend_plan
    model = f"{shape.name}, {words.number(shape.parameters)} parameters" if shape else "a model of unknown shape"
    where = f"{plan.estimates.get('device', '?')} in {plan.estimates.get('dtype', '?')}"
    return Text(f"{run.name}: {plan.kind} with {plan.backend} on {where}; {model}", style="bold")


def _section(title: str, body: Iterable[Any]) -> list[Any]:
    lines = [Text(part) if isinstance(part, str) else part for part in body]
    return [Text(f"\n{title}", style="bold cyan"), *lines] if lines else []


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]], right: Sequence[int] = ()) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    return table


def _layout(planning: PlanSummary) -> list[Any]:
    placed = planning.placement
    rows = [(r.name, r.gpus or "-", ", ".join(r.where), r.note) for r in placed.roles]
    total = f"{placed.gpus} GPU(s) on {placed.nodes} node(s)" if placed.gpus else "no GPU: every role is a process here"
    return [_table(("role", "GPUs", "where", ""), rows, right=(1,)), total]


def _numbers(run: TrainingPlan) -> list[Any]:
    d, plan = run.summary.derived, run.backend_plan
    rl, filtered = plan.kind == "rl", bool(plan.estimates.get("steps_are_at_most"))
    rows: list[tuple[str, str, str]] = [
        ("steps", words.number(d.steps), "at most: filtered prompts use up more" if filtered else ""),
        ("optimizer steps", words.number(d.optimizer_steps), f"{d.updates_per_step} a step" if rl else ""),
        (
            "samples a step",
            words.number(d.samples_per_step),
            f"{d.prompts_per_step} prompts" if rl else "pairs" if plan.kind == "preference" else "rows",
        ),
        ("samples", words.number(d.samples), "at least, with filtering" if filtered else ""),
        ("tokens at most", words.number(d.tokens_at_most), "generated" if rl else "read"),
        ("passes over the prompts" if rl else "epochs", words.number(d.passes), ""),
    ]
    rows += [(f"judge calls, {name}", words.number(n), "at most") for name, n in d.judge_calls.items()]
    if d.eval_samples:
        rows.append(("evaluation samples", words.number(d.eval_samples), "while training"))
    kept = f"{words.size(d.checkpoint_bytes)} each; on disk at most {words.size(d.disk_bytes)} with the final model"
    rows.append(("checkpoints", words.number(d.checkpoints), kept))
    return [_table(("", "", ""), rows, right=(1,))]


def _memory(planning: PlanSummary) -> list[Any]:
    memory = planning.memory
    if memory is None:
        return [f"not estimated: {planning.why_no_memory}"]
    capacity = memory.target.capacity
    phases = [(g.name, p.name, words.size(p.total), p.total) for g in memory.groups for p in g.phases]
    scale = capacity or max(total for *_, total in phases)
    rows = [(group, phase, shown, words.bar(total / scale)) for group, phase, shown, total in phases]
    top = max(memory.groups, key=lambda g: g.peak.total)
    parts = [(f.role, f.what, words.size(f.bytes), f.formula, f.source) for f in words.largest(top.peak.figures)]
    lines: list[Any] = [_table(("on", "phase", "", ""), rows, right=(2,))]
    lines += [Text(words.verdict(memory), style=_COLOURS[memory.verdict]), *_change(planning)]
    lines += [f"\nthe peak ({top.peak.name}) is made of:"]
    lines += [_table(("role", "what", "", "formula", "source"), parts, right=(2,))]
    if memory.serving is not None:
        s = memory.serving
        lines.append(
            f"KV cache: {words.size(max(0, s.kv_cache))}, {s.sequences} sequences of {s.length} tokens at once"
        )
    lines += [f"host memory of a node, {f.role}: {words.size(f.bytes)} {f.what} ({f.formula})" for f in memory.host]
    return lines


def _change(planning: PlanSummary) -> list[Any]:
    change = planning.change
    if change is None:
        return []
    end = f"{words.size(change.peak_bytes)} at the peak, {change.verdict}"
    return [Text(f"change first: {change.key}: {str(change.value).lower()} -> {end}", style="bold")]


def _audit(audit: Audit) -> list[Any]:
    lines: list[Any] = []
    if audit.rows:
        rows = [(label, n, audit.dropped.get(label, 0)) for label, n in audit.counts.items()]
        lines.append(_table(("kind / source", "rows", "too long"), rows, right=(1, 2)))
    for name, histogram in audit.tokens.items():
        lines += _histogram(name, histogram)
    if audit.dropped:
        lines.append(
            f"{sum(audit.dropped.values())} rows are too long: lrmctl leaves them out (a trainer would cut them)"
        )
    if audit.merged:
        lines.append(f"in {audit.merged} rows one token spans the end of the prompt and the start of the response")
    if audit.thinking_lost:
        lines.append(f"in {audit.thinking_lost} rows the thinking is empty or never closed")
    if audit.past_thinking_stripped:
        lines.append(f"{audit.past_thinking_stripped} conversations lose past thinking to the chat template")
    if audit.rows:
        lines += _repeats("prompts that repeat an earlier one", audit.duplicates)
    for name, repeats in audit.overlap.items():
        lines += _repeats(f"prompts of {name} that are trained on", repeats)
    return [*lines, *audit.not_audited]


def _histogram(name: str, histogram: Histogram) -> list[Any]:
    p, most = histogram.percentiles, max(histogram.counts)
    shown = ", ".join(f"{key} {value:g}" for key, value in p.items())
    pairs = zip(histogram.edges, histogram.edges[1:], histogram.counts, strict=False)
    rows = [(f"{low}-{high}", words.bar(n / most, 40), n or "") for low, high, n in pairs]
    return [f"\n{name} tokens: {shown}", _table(("", "", ""), rows, right=(0, 2))]


def _repeats(what: str, repeats: Repeats) -> list[Any]:
    lines: list[Any] = [f"{what}: {repeats.exact} exactly, {repeats.near} nearly"]
    for example in repeats.examples[:1]:
        lines.append(f"  e.g. {_short(example.text)!r} ~ {_short(example.repeats)!r}")
    return lines


def _short(text: str, length: int = 70) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _example(run: DryRun) -> list[Any]:
    if not run.example:
        return ["not rendered: " + next(iter(run.plan.missing), "there are no rows yet")]
    return [f"{key}: {_short(value, _SHOWN)!r}" for key, value in run.example.items()]


def _command(run: TrainingPlan) -> list[Any]:
    plan, lines = run.backend_plan, list[Any]()
    for word in plan.argv:
        if word.startswith("--") or not lines:
            lines.append(word if not lines else f"  {word}")
        else:
            lines[-1] += f" {word}"
    lines += ["environment:", *(f"  {key}={value}" for key, value in plan.env.items())]
    if plan.files:
        lines += ["files:", *(f"  {name}  {words.size(len(t.encode()))}" for name, t in plan.files.items())]
    lines.append(f"run folder: {run.run_dir}")
    return [*lines, *filter(None, [run.preview])]
