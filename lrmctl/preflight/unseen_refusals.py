"""Finds benign prompts whose judge cannot detect refusals, because it only says safe or unsafe.

Reported before anything is generated: without a refusal verdict there are no compliance and over-refusal rates. Loads
no model.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lrmctl.errors import LrmctlError
from lrmctl.judges.describe import says_refusal
from lrmctl.metrics.remarks import REFUSALS
from lrmctl.preflight.local import over_refusal_set_for

if TYPE_CHECKING:
    from lrmctl.recipe.schema.evaluation import EvalSection, SafetySet

OUTSIDE_SAFETY_SETS = -1
"""Index of the benchmark added by `over_refusal`."""


def unseen_refusals(section: EvalSection) -> Iterator[tuple[int, str]]:
    """Index of each benchmark with benign prompts but no judge of refusals, and a sentence about it.

    Skips what is unknown: plugins that do not declare it, and data that is not on this machine.
    """
    chosen, kinds = section.judged(), set[str]()
    for i, one in enumerate(chosen):
        found = _kinds(one)
        kinds |= set(found)
        if "benign" in found and not _seen(one):
            yield i, _sentence(one.use, one)
    if section.over_refusal and "harmful" in kinds and "benign" not in kinds and not _seen(chosen[0]):
        yield OUTSIDE_SAFETY_SETS, _sentence(f"{over_refusal_set_for(chosen[0])['use']}, which is added,", chosen[0])


def _sentence(name: str, one: SafetySet) -> str:
    return f"{name} asks benign prompts, and the judge {one.judge!r} says nothing of refusals: no figure; {REFUSALS}"


def _seen(one: SafetySet) -> bool:
    """Whether any judge of the answer reports refusals, or may do so."""
    judges = [(str(one.judge), one.judge_options)]
    judges += [(also.judge, also.judge_options) for also in one.also or () if also.part in ("answer", "whole", "both")]
    return any(says_refusal(name, options) is not False for name, options in judges)


def _kinds(one: SafetySet) -> tuple[str, ...]:
    from lrmctl.hooks import registry

    try:
        benchmark = registry.make("benchmark", one.use, **one.options)
        return tuple(benchmark.kinds) or tuple({prompt.kind for prompt in benchmark.load()})
    except LrmctlError:
        return ()
