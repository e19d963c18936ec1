"""`lrmctl reward`: rewards, tested and served outside a training run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lrmctl.cli import completion
from lrmctl.cli.commands.reward import fit, serve
from lrmctl.cli.commands.reward.section import reward_section, rows_file
from lrmctl.cli.common import RUNS, AsJson, Force, RowsThinking, RunsDir, Sets, rows_thinking

if TYPE_CHECKING:
    from lrmctl.rewards.describe import RewardDescription
    from lrmctl.rewards.offline.rescore import RewardDifference
    from lrmctl.rewards.offline.variance import VarianceShares

app = typer.Typer(help="Rewards: list, test, score, serve, fit.", no_args_is_help=True)
app.command("fit")(fit.fit)
app.command("serve")(serve.serve)
Reward = Annotated[
    str,
    typer.Argument(help="A registered reward, or ./file.py:function.", autocompletion=completion.of_registry("reward")),
]
Options = Annotated[
    list[str] | None, typer.Option("--option", metavar="KEY=VALUE", help="An option of the reward; repeatable.")
]


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List every registered reward.

    Examples:
        lrmctl reward list
    """
    from lrmctl import console
    from lrmctl.hooks import registry
    from lrmctl.rewards.describe import rewards

    found = rewards()
    if as_json:
        console.emit_json("rewards", found)
        return
    console.table("", ("reward", "from", "range", "what"), [(r.name, r.origin, _range(r), r.summary) for r in found])
    for problem in registry.problems():
        console.say(problem.sentence)


@app.command()
def show(name: Reward, as_json: AsJson = False) -> None:
    """Show what a reward does: its documentation, options with defaults, range, and who offers it.

    Examples:
        lrmctl reward show judged-safe
    """
    from lrmctl import console
    from lrmctl.rewards.describe import describe

    found = describe(name)
    if as_json:
        console.emit_json("reward", found)
        return
    console.out.print(f"{found.name} ({found.origin}), range {_range(found)}\n\n{found.doc}", markup=False)
    rows = [(option.name, option.default or "has to be given", option.annotation) for option in found.options]
    if rows:
        console.out.print()
        console.table("", ("option", "default", "type"), rows)


@app.command("test")
def try_(
    name: Reward,
    options: Options = None,
    on: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Traces to test it on, as for `score`; synthetic ones by default."),
    ] = None,
    thinking: RowsThinking = None,
    seconds: Annotated[float, typer.Option(help="Time for each of the two latencies.", min=0.01)] = 1.0,
    as_json: AsJson = False,
) -> None:
    """Try a reward on good and odd traces: finite, in range, the same alone, in any order and from threads; how fast.

    Exit code 1 on a finding.

    Examples:
        lrmctl reward test format
        lrmctl reward test ./rewards.py:brief --on rollouts.jsonl
    """
    from lrmctl import console
    from lrmctl.rewards.describe import component
    from lrmctl.rewards.function import make_component
    from lrmctl.testing.contract import check_contract, check_failures, latency

    reward, traces = make_component(component(name, options or ())), None
    if on is not None:
        from lrmctl.rewards.offline.rollouts import read_rollouts

        with rows_thinking(thinking):
            traces = [rollout.trace for rollout in read_rollouts(on)]
    checks = check_contract(reward, traces)
    took = None
    if len(checks) > 1:  # without even one score per trace no other check is possible
        checks.append(check_failures(reward, traces))
        took = latency(reward, traces, seconds=seconds) if all(check.ok for check in checks) else None
    if as_json:
        console.emit_json("reward test", {"name": name, "checks": checks, "latency_ms": took})
    else:
        console.table("", ("check", "", "found"), [(c.name, "ok" if c.ok else "FINDING", c.found) for c in checks])
        if took:
            single = f"{took.single_p50:.3g} ms (p95 {took.single_p95:.3g})"
            alone = "one trace in its group" if reward.of_group else "one trace alone"
            console.out.print(f"{alone} takes {single} at the median, in a batch of {took.batch} ", end="")
            console.out.print(f"{took.batched_p50:.3g} ms (p95 {took.batched_p95:.3g})", markup=False)
    if not all(check.ok for check in checks):
        raise typer.Exit(console.FINDINGS)


@app.command()
def score(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="JSONL: rollouts, evaluation rows, or plain rows; or run:NAME.",
            autocompletion=completion.runs(qualified=True),
        ),
    ],
    recipe: Annotated[
        str | None,
        typer.Option(help="Score with the reward of this recipe.", autocompletion=completion.recipes("rl", "sft")),
    ] = None,
    use: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Score with one reward, registered or ./file.py:function.",
            autocompletion=completion.of_registry("reward"),
        ),
    ] = None,
    options: Options = None,
    part: Annotated[str, typer.Option(help="With --use: the part that is scored.")] = "whole",
    sets: Sets = None,
    thinking: RowsThinking = None,
    out: Annotated[Path | None, typer.Option(help="Write the rows with their new rewards here.")] = None,
    force: Force = False,
    runs_dir: RunsDir = RUNS,
    as_json: AsJson = False,
) -> None:
    """Rescore past rollouts, and show the difference to their rewards.

    Exit code 1 if the reward failed on a row.

    Examples:
        lrmctl reward score run:rl --recipe mine.yaml
        lrmctl reward score rows.jsonl --use judged-safe --option judge=lab --out scored.jsonl
    """
    from lrmctl import console
    from lrmctl.rewards.compose import ComposedReward
    from lrmctl.rewards.offline.rescore import differences, rescore
    from lrmctl.rewards.offline.rollouts import read_rollouts
    from lrmctl.rewards.offline.variance import shares
    from lrmctl.runs.output import check_output

    section = reward_section(recipe, use, options, part, sets)
    path = rows_file(source, runs_dir)
    if out is not None:
        check_output(out, lambda _: False, force=force)
    with rows_thinking(thinking):
        rollouts = list(read_rollouts(path))
    reward = ComposedReward(section)
    with console.progress(f"score {path.name}") as on_progress:
        rescored = rescore(reward, rollouts, on_progress)
    rows = list(rescored.rows())
    if out is not None:
        from lrmctl.runs.jsonl import write_jsonl

        write_jsonl(out, rows)
        console.say(f"rows are in {out}")
    found, varied = differences(rescored), shares({**row, "phase": "train"} for row in rows)
    if as_json:
        console.emit_json("reward score", {"rollouts": len(rows), "differences": found, "shares": varied})
    else:
        _show_differences(found, varied, len(rows))
    if failed := [r for r in rescored.rewards if r.error]:
        console.say(f"failed on {len(failed)} of {len(rows)}; first: {failed[0].error}")
        raise typer.Exit(console.FINDINGS)


def share_rows(found: Sequence[VarianceShares]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Shares of the variance as table columns and rows."""
    names = list(dict.fromkeys(name for one in found for name in one.shares))
    rows = [
        (one.kind, str(one.n), f"{one.variance:.4g}", *(_percent(one.shares.get(name)) for name in names))
        for one in found
    ]
    return ("prompts", "rollouts", "variance", *names), rows


def _show_differences(found: Sequence[RewardDifference], varied: Sequence[VarianceShares], rows: int) -> None:
    from lrmctl import console

    columns = ("", "n", "old mean", "new mean", "new - old [95 %]", "correlation", "changed", "failed")
    table = [
        (d.name, d.n, _number(d.old_mean), _number(d.new_mean), _delta(d), _number(d.correlation), _percent(d.changed))
        for d in found
    ]
    console.table(f"{rows} rollouts", columns, [(*row, str(d.failed)) for row, d in zip(table, found, strict=True)])
    if any(one.shares for one in varied):
        console.out.print("share of the new reward's variance", markup=False)
        console.table("", *share_rows(varied))


def _delta(d: RewardDifference) -> str:
    if d.delta is None:
        return "-"
    return f"{d.delta:+.4f} [{_number(d.low)}, {_number(d.high)}]"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}".replace("-0.0%", "0.0%")


def _range(found: RewardDescription) -> str:
    return "not declared" if found.range is None else f"[{found.range[0]:g}, {found.range[1]:g}]"
