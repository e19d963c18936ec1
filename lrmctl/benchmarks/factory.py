"""Factories of public benchmarks: a set's own options first, then those common to all sets.

The registry binds a recipe's options to a factory's signature, so each factory needs the complete signature; the common
part is defined once, in `PublicBenchmark`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lrmctl._util.suggest import did_you_mean
from lrmctl.benchmarks.public import PublicBenchmark, RowSelection
from lrmctl.errors import RecipeError

_COMMON = tuple(inspect.signature(PublicBenchmark).parameters.values())[1:]


@dataclass(frozen=True)
class PublicSet:
    """A registered set and its splits.

    Attributes:
        select: maps the set's own options to its selection.
        splits: options of each split worth listing, the default one first.
    """

    select: Callable[..., RowSelection]
    splits: tuple[Mapping[str, Any], ...] = ({},)

    def __post_init__(self) -> None:
        own = inspect.signature(self.select).parameters.values()
        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*own, *_COMMON)]
        object.__setattr__(self, "__signature__", inspect.Signature(parameters))
        object.__setattr__(self, "__doc__", self.select.__doc__)

    def __call__(self, **options: Any) -> PublicBenchmark:
        own = inspect.signature(self.select).parameters
        mine = {key: value for key, value in options.items() if key in own}
        rest = {key: value for key, value in options.items() if key not in own}
        return PublicBenchmark(self.select(**mine), **rest)

    def check_options(self, options: Mapping[str, Any]) -> None:
        """Raises for a split that does not exist, so that validation of a recipe detects it. Reads nothing."""
        self(**options)

    def benchmarks(self) -> list[tuple[Mapping[str, Any], PublicBenchmark]]:
        """The benchmark of each split, with the options that select it. Reads nothing."""
        return [(options, self(**options)) for options in self.splits]


def one_of(name: str, option: str, value: str, known: Mapping[str, Any] | tuple[str, ...], hint: str = "") -> None:
    """Raises RecipeError for an unknown option value."""
    if value not in known:
        fix = "; ".join(filter(None, (hint, did_you_mean(str(value), known))))
        raise RecipeError(f"{name} has no {option} {value!r}", f"benchmark {name}", fix)
