"""Prepares safety sets: benchmark and judges made, prompts loaded, so that a wrong name fails within seconds."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lrmctl.errors import LrmctlError, NotFoundError
from lrmctl.hooks.specs import Benchmark, Judge
from lrmctl.preflight.local import added_over_refusal_set, added_set_note, over_refusal_set_for
from lrmctl.types import Prompt, Scope

if TYPE_CHECKING:
    from lrmctl.recipe.schema.evaluation import EvalSection, JudgeAccuracySection, SafetySet


@dataclass(frozen=True)
class ExtraJudge:
    """A judge and the part that it judges."""

    judge: Judge
    part: Scope


@dataclass(frozen=True)
class PreparedBenchmark:
    """A safety set that is ready to run.

    Attributes:
        also: additional judges.
        measured: the judge's measured error rates, if the recipe gives them.
        source: licence, url, split, and the origin of the rows, for the summary.
    """

    name: str
    prompts: tuple[Prompt, ...]
    judge: Judge
    also: tuple[ExtraJudge, ...]
    measured: JudgeAccuracySection | None
    source: Mapping[str, Any]


def open_sets(section: EvalSection) -> list[PreparedBenchmark]:
    """Every set of an evaluation, with its prompts.

    If there are harmful prompts and no benign ones, XSTest's safe prompts are added: otherwise a model that refuses
    everything would look safe.

    Raises:
        NotFoundError, RecipeError, PluginError: a set or judge that cannot be made.
    """
    chosen = section.judged()
    sets = [_open_set(one, section.limit) for one in chosen]
    if use := added_over_refusal_set(section, {prompt.kind for s in sets for prompt in s.prompts}):
        sets += _over_refusal(chosen[0].model_copy(update=use), section.limit)
    refuse_twice([s.name for s in sets])
    return sets


def named_sets(section: EvalSection, evaluated: Collection[str]) -> dict[str, PreparedBenchmark]:
    """The sets of an evaluation by name with their judges, but without prompts: nothing is loaded or downloaded.

    Args:
        evaluated: names of the sets that were evaluated; the over-refusal set that `open_sets` adds is included if
            among them.
    """
    chosen = section.judged()
    sets = [_open_set(one, None, load=False) for one in chosen]
    refuse_twice([s.name for s in sets])
    if chosen and section.over_refusal:
        added = _open_set(chosen[0].model_copy(update=over_refusal_set_for(chosen[0])), None, load=False)
        sets += [added] if added.name in evaluated and added.name not in {s.name for s in sets} else []
    return {s.name: s for s in sets}


def set_name(benchmark: Benchmark) -> str:
    """`name/split`, or the name alone."""
    return f"{benchmark.name}/{benchmark.split}" if benchmark.split else benchmark.name


def _over_refusal(added: SafetySet, limit: int | None) -> list[PreparedBenchmark]:
    """XSTest's safe prompts (for the lab its benign ones), judged like another set; since nobody asked for them, an
    evaluation continues without them if they are not available."""
    try:
        found = _open_set(added, limit)
    except NotFoundError as error:
        what = f"no set has benign prompts, and those of {added.use} cannot be had ({error.what})"
        fix = "name a set with benign prompts, or say `over_refusal: false`"
        warnings.warn(f"{what}: over-refusal is not measured; {fix}", stacklevel=2)
        return []
    warnings.warn(f"{len(found.prompts)} prompts are added: {added_set_note(added.model_dump())}", stacklevel=2)
    return [found]


def refuse_twice(names: Sequence[str], what: str = "set") -> None:
    """Raises LrmctlError if two sets have the same name, since their rows could not be told apart."""
    if twice := {n for n in names if names.count(n) > 1}:
        raise LrmctlError(
            f"the {what} {sorted(twice)[0]!r} is listed twice", fix="keep one of the two, or give them other splits"
        )


def _open_set(chosen: SafetySet, limit: int | None, *, load: bool = True) -> PreparedBenchmark:
    from lrmctl.hooks import registry
    from lrmctl.judges.base import make_judge

    benchmark: Benchmark = registry.make("benchmark", chosen.use, **chosen.options)
    name = set_name(benchmark)
    judge = make_judge(str(chosen.judge), chosen.judge_options)
    also = tuple(ExtraJudge(make_judge(o.judge, o.judge_options), o.part) for o in chosen.also or ())
    for one in (judge, *(asked.judge for asked in also)):
        one.check()  # a wrong name must fail before hours of generating
    prompts = tuple(benchmark.load()[:limit]) if load else ()
    if load:
        _check_prompts(name, prompts)
    return PreparedBenchmark(name, prompts, judge, also, chosen.measured, _source(benchmark, chosen) if load else {})


def _check_prompts(name: str, prompts: Sequence[Prompt]) -> None:
    if odd := [p for p in prompts if p.kind == "reasoning"]:
        raise LrmctlError(f"prompt {odd[0].id!r} of the safety set {name!r} is a reasoning prompt")
    if not prompts:
        raise LrmctlError(f"the set {name!r} has no prompts")


def _source(benchmark: Benchmark, chosen: SafetySet) -> dict[str, Any]:
    facts = {"license": benchmark.license, "url": benchmark.url, "split": benchmark.split, "use": chosen.use}
    return {**facts, "options": chosen.options, **benchmark.provenance()}
