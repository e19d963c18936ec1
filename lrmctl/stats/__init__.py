"""Intervals, tests, corrections and sample sizes over prompts. Knows numbers only: no traces, no files.

The unit is always the PROMPT, never a pooled prompt x sample row: samples of one prompt are correlated, so pooling
them makes every interval too narrow. Seeds are fixed, so results are the same on every machine.

Built on scipy.special, which imports in a third of a second; scipy.stats takes four times and statsmodels five times
as long, more than summarizing or comparing an evaluation. Tests check every function against those two.
"""

from lrmctl.stats.agreement import Alpha, krippendorff_alpha
from lrmctl.stats.correction import corrected_interval, effective_n, rogan_gladen
from lrmctl.stats.hierarchical import HierarchicalDelta, Spread, hierarchical_delta, spread
from lrmctl.stats.intervals import RESAMPLES, interval, prompt_means, wilson
from lrmctl.stats.paired import PERMUTATIONS, PairedDelta, holm, mcnemar_p, paired_delta, sign_flip_p
from lrmctl.stats.power import prompts_needed, prompts_needed_unpaired
from lrmctl.stats.subsets import all_of_k, any_of_k

__all__ = [
    "PERMUTATIONS",
    "RESAMPLES",
    "Alpha",
    "HierarchicalDelta",
    "PairedDelta",
    "Spread",
    "all_of_k",
    "any_of_k",
    "corrected_interval",
    "effective_n",
    "hierarchical_delta",
    "holm",
    "interval",
    "krippendorff_alpha",
    "mcnemar_p",
    "paired_delta",
    "prompt_means",
    "prompts_needed",
    "prompts_needed_unpaired",
    "rogan_gladen",
    "sign_flip_p",
    "spread",
    "wilson",
]
