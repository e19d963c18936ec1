"""Safety sets that are ready to run: benchmark and judges made, prompts loaded, so that a wrong name costs seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lrmctl.errors import LrmctlError
from lrmctl.hooks.specs import Benchmark, Judge
from lrmctl.types import Prompt, Scope

if TYPE_CHECKING:
    from lrmctl.recipe.evaluation import EvalSection, Measured, SafetySet


@dataclass(frozen=True)
class Asked:
    """A judge and the part that it is asked about."""

    judge: Judge
    part: Scope


@dataclass(frozen=True)
class OpenSet:
    """A safety set that is ready to run.

    Attributes:
        also: further judges.
        measured: how good the judge is, if the recipe says.
        source: licence, url, split, and where the rows came from, for the summary.
    """

    name: str
    prompts: tuple[Prompt, ...]
    judge: Judge
    also: tuple[Asked, ...]
    measured: Measured | None
    source: Mapping[str, Any]


def open_sets(section: EvalSection) -> list[OpenSet]:
    """Every set of an evaluation.

    Raises:
        NotFoundError, RecipeError, PluginError: a set or judge that cannot be made.
    """
    sets = [_open_set(chosen, section.limit) for chosen in section.judged()]
    names = [s.name for s in sets]
    if twice := {n for n in names if names.count(n) > 1}:
        raise LrmctlError(
            f"the set {sorted(twice)[0]!r} is listed twice", fix="keep one of the two, or give them splits"
        )
    return sets


def _open_set(chosen: SafetySet, limit: int | None) -> OpenSet:
    from lrmctl.hooks import registry
    from lrmctl.judges.base import make_judge

    benchmark: Benchmark = registry.make("benchmark", chosen.use, **chosen.options)
    name = set_name(benchmark)
    prompts = tuple(benchmark.load()[:limit])
    _check_prompts(name, prompts)
    judge = make_judge(str(chosen.judge), chosen.judge_options)
    also = tuple(Asked(make_judge(o.judge, o.judge_options), o.part) for o in chosen.also or ())
    return OpenSet(name, prompts, judge, also, chosen.measured, _source(benchmark, chosen))


def set_name(benchmark: Benchmark) -> str:
    """`name/split`, or the name alone."""
    split = str(getattr(benchmark, "split", ""))
    return f"{benchmark.name}/{split}" if split else benchmark.name


def _check_prompts(name: str, prompts: Sequence[Prompt]) -> None:
    if odd := [p for p in prompts if p.kind == "reasoning"]:
        raise LrmctlError(f"prompt {odd[0].id!r} of the safety set {name!r} is a reasoning prompt")
    if not prompts:
        raise LrmctlError(f"the set {name!r} has no prompts")


def _source(benchmark: Benchmark, chosen: SafetySet) -> dict[str, Any]:
    told: Mapping[str, Any] = getattr(benchmark, "provenance", dict)()
    split = str(getattr(benchmark, "split", ""))
    facts = {"license": benchmark.license, "url": benchmark.url, "split": split, "use": chosen.use}
    return {**facts, "options": chosen.options, **told}
