"""Two or more evaluations of the same prompts side by side: the public face of `lrmctl.comparing`."""

from __future__ import annotations

from lrmctl.comparing.comparison import Beside, Comparison, Side, compare, compare_all
from lrmctl.comparing.flips import Flip, flips
from lrmctl.comparing.pairing import ALLOWED, Delta, main_deltas, main_metric, pair
from lrmctl.comparing.settings import Difference, differences
from lrmctl.comparing.tally import MAIN, Evaluated, Pairable, Where, tally

__all__ = [
    "ALLOWED",
    "MAIN",
    "Beside",
    "Comparison",
    "Delta",
    "Difference",
    "Evaluated",
    "Flip",
    "Pairable",
    "Side",
    "Where",
    "compare",
    "compare_all",
    "differences",
    "flips",
    "main_deltas",
    "main_metric",
    "pair",
    "tally",
]
