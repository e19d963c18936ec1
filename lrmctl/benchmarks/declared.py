"""Public sets declared in sets.toml: from the facts of a set to a selection of its rows.

To add such a set, add a table there, and one for its data set in `lrmctl/data/catalog`. Making one reads no rows.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from lrmctl._util.suggest import did_you_mean
from lrmctl.benchmarks.factory import PublicSet, one_of
from lrmctl.benchmarks.public import RowSelection, column, columns, place_of
from lrmctl.benchmarks.set_facts import LabelFacts, SetFacts, SplitFacts, declared_sets
from lrmctl.data.catalog import CATALOG
from lrmctl.data.fetch import Row
from lrmctl.errors import RecipeError
from lrmctl.types import Kind

_KINDS: tuple[Kind, ...] = ("harmful", "benign")


def declared_set(name: str) -> PublicSet:
    """The set of this name in sets.toml."""
    return public_set(declared_sets()[name])


def public_set(facts: SetFacts) -> PublicSet:
    """A set with the options derived from its facts."""
    splits = tuple({} if split.unnamed else {"split": name} for name, split in facts.splits.items())
    return PublicSet(DeclaredSelection(facts), splits or ({},))


class DeclaredSelection:
    """Maps the option `split`, if the set has splits, to a selection of the set."""

    def __init__(self, facts: SetFacts) -> None:
        self._facts, self.__doc__ = facts, facts.about
        self._default, kind = next(iter(facts.splits), ""), inspect.Parameter.KEYWORD_ONLY
        option = inspect.Parameter("split", kind, default=self._default, annotation="str")
        self.__signature__ = inspect.Signature([option] if facts.splits else [])

    def __call__(self, **options: Any) -> RowSelection:
        facts, name = self._facts, options.get("split", self._default)
        if facts.splits:
            hint = next((why for start, why in facts.not_splits.items() if str(name).startswith(start)), "")
            one_of(facts.name, "split", name, facts.splits, hint)
        chosen = facts.splits.get(name, SplitFacts())
        data = CATALOG[chosen.data or facts.name]
        kinds, kind = _kinds(facts, chosen)
        return RowSelection(
            data,
            facts.name,
            "" if chosen.unnamed else name,
            kinds,
            chosen.rows or data.rows,
            column(facts.text),
            kind,
            id=_id(facts, name),
            keep=_keep(facts.labels, chosen),
            meta=columns(**facts.meta) if isinstance(facts.meta, dict) else columns(*facts.meta),
        )


def _kinds(facts: SetFacts, split: SplitFacts) -> tuple[tuple[Kind, ...], Callable[[Row], Kind]]:
    """The possible kinds of its prompts, and a function for the kind of one row."""
    if one := split.kind or facts.kind:
        return (one,), lambda _: one
    assert facts.labels is not None  # checked by SetFacts
    known = facts.labels.kinds
    found = {known[split.keep]} if split.keep is not None else set(known.values())
    return tuple(kind for kind in _KINDS if kind in found), _labelled(facts.name, facts.labels)


def _labelled(name: str, labels: LabelFacts) -> Callable[[Row], Kind]:
    def kind(row: Row) -> Kind:
        label = row[labels.column]
        if label not in labels.kinds:
            what = f"{labels.column} is {label!r}, of which nobody has said whether it is harmful or benign"
            raise RecipeError(what, place_of(row) or f"benchmark {name}", did_you_mean(str(label), labels.kinds))
        return labels.kinds[label]

    return kind


def _keep(labels: LabelFacts | None, split: SplitFacts) -> Callable[[Row], bool]:
    if labels is None or split.keep is None:
        return lambda _: True
    return lambda row: bool(row[labels.column] == split.keep)


def _id(facts: SetFacts, split: str) -> Callable[[Row], str] | None:
    if not facts.id:
        return None
    own = column(facts.id)
    return (lambda row: f"{split}/{own(row)}") if facts.id_within_split else own
