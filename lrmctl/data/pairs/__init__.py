"""Preference pairs: from files, from a run's rollouts, from scored completions, and by intervening in a thought."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl._util.lazy import lazy_names

if TYPE_CHECKING:
    from lrmctl.data.pairs.groups import GroupedPairs, ScoredTrace, best_and_worst
    from lrmctl.data.pairs.intervene import Intervention, find_intervention, intervened_pair, triggers
    from lrmctl.data.pairs.load import LoadedPairs, load_pairs
    from lrmctl.data.pairs.pair import PreferencePair, Response
    from lrmctl.data.pairs.write import pair_row

__all__ = [
    "GroupedPairs",
    "Intervention",
    "LoadedPairs",
    "PreferencePair",
    "Response",
    "ScoredTrace",
    "best_and_worst",
    "find_intervention",
    "intervened_pair",
    "load_pairs",
    "pair_row",
    "triggers",
]

__getattr__ = lazy_names(
    __name__,
    {
        "groups": ("GroupedPairs", "ScoredTrace", "best_and_worst"),
        "intervene": ("Intervention", "find_intervention", "intervened_pair", "triggers"),
        "load": ("LoadedPairs", "load_pairs"),
        "pair": ("PreferencePair", "Response"),
        "write": ("pair_row",),
    },
)
