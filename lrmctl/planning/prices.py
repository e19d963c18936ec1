"""What a user pays, and how fast a stage is known to be: `gpu_hour=2.5,judge_in=0.15,currency=EUR`.

Prices belong to whoever pays and not to an experiment, so that no recipe has them: they are stated once in the
environment variable `LRMCTL_PRICES`, and for one command with `--price`. Nothing is assumed that is not stated.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields

from lrmctl._util.suggest import did_you_mean
from lrmctl.errors import RecipeError

PRICES_VARIABLE = "LRMCTL_PRICES"
_EXAMPLE = "for example gpu_hour=2.5,judge_in=0.15,judge_out=0.6,currency=EUR"


@dataclass(frozen=True)
class Prices:
    """What was stated; None for what was not.

    Attributes:
        gpu_hour: price of one GPU for one hour.
        judge_in, judge_out: price of a million tokens that a judge on a server reads, and writes.
        currency: as printed behind amounts.
        train_tokens_per_second: of one GPU, over the whole of a training step.
        eval_tokens_per_second: of one GPU, generated.
    """

    gpu_hour: float | None = None
    judge_in: float | None = None
    judge_out: float | None = None
    currency: str = ""
    train_tokens_per_second: float | None = None
    eval_tokens_per_second: float | None = None

    def amount(self, value: float) -> str:
        """An amount of money as text: `12.30 EUR`."""
        return f"{value:,.2f} {self.currency}".rstrip()


def stated_prices(given: Sequence[str] = ()) -> Prices:
    """Prices of `LRMCTL_PRICES`, then those of `--price`, which win.

    Args:
        given: texts of `KEY=VALUE`, several in one text separated by commas.

    Raises:
        RecipeError: an unknown key, or no number of at least 0 (a rate: above 0).
    """
    found: dict[str, float | str] = {}
    for text, where in [(os.environ.get(PRICES_VARIABLE, ""), PRICES_VARIABLE), *((one, "--price") for one in given)]:
        for pair in filter(None, (part.strip() for part in text.split(","))):
            key, equals, value = (part.strip() for part in pair.partition("="))
            if not equals or not value:
                raise RecipeError(f"not KEY=VALUE: {pair!r}", where, _EXAMPLE)
            found[_known(key, where)] = value if key == "currency" else _number(key, value, where)
    return Prices(**found)  # type: ignore[arg-type]  # each key has the type of its field


def _known(key: str, where: str) -> str:
    names = [field.name for field in fields(Prices)]
    if key not in names:
        fix = "; ".join(filter(None, (did_you_mean(key, names), f"there are {', '.join(names)}")))
        raise RecipeError(f"there is no price {key!r}", where, fix)
    return key


def _number(key: str, text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    is_rate = key.endswith("_per_second")
    if not 0 <= value < math.inf or (is_rate and value == 0):
        what = "no number above 0" if is_rate else "no number of at least 0"
        raise RecipeError(f"{key}={text} is {what}", where, f"write {key}=1.5")
    return value
