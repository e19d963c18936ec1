"""Loads the preference pairs of a recipe's sources, in order or mixed, and counts what is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from lrmctl.data.pairs.pair import PreferencePair, Response
from lrmctl.data.sources import Reasons, make_source, mixed, rendering_of
from lrmctl.errors import RecipeError
from lrmctl.rows.prompts import distinct_ids

if TYPE_CHECKING:
    from lrmctl.recipe.schema.sections import Mixed


class LoadedPairs(NamedTuple):
    """Pairs, and a sentence for each reason for which a source left some out."""

    rows: list[PreferencePair]
    notes: list[str]


def load_pairs(
    uses: Sequence[Mixed],
    *,
    total: int | None = None,
    seed: int = 0,
    off: Callable[[Mapping[str, Any]], bool] | None = None,
) -> LoadedPairs:
    """Pairs of several sources.

    Args:
        total: pairs of a weighted mixture.
        off: whether thinking is off with a source's template arguments, so that responses need no thinking.

    Raises:
        RecipeError: a source has no pairs, or none that can be trained on.
    """
    groups, notes = [], list[str]()
    for use in uses:
        source, (args, system) = make_source(use), rendering_of(use)
        if off is not None and off(args):
            source.without_thinking = True
        reasons = Reasons("pairs")
        found = [replace(pair, template_args=args, system=system) for pair in _sound(source.pairs(), reasons)]
        notes += [*source.findings(), *reasons.findings()]
        if not found:
            why = "; ".join(notes) or "it is empty"
            raise RecipeError(f"the source {use.use!r} has no pair to train on: {why}", "data.sources")
        groups.append(found)
    rows = mixed(groups, uses, total, seed)
    prompts = distinct_ids([row.prompt for row in rows])
    return LoadedPairs([replace(row, prompt=prompt) for row, prompt in zip(rows, prompts, strict=True)], notes)


def _sound(rows: Sequence[Any], reasons: Reasons) -> Iterator[PreferencePair]:
    """Pairs of any source as lrmctl's own, without those from which nothing can be learned."""
    for row in rows:
        pair = PreferencePair(row.prompt, Response(*row.chosen), Response(*row.rejected), row.prefix)
        if pair.flaw:
            reasons.add(pair.flaw, pair.prompt.id)
        else:
            yield pair
