"""Krippendorff's alpha: agreement of several raters beyond chance, with missing values.

Formula for nominal data: Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), section C. Written here
because the maintained package for it is under the GPL; the tests hold it against that paper's examples.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from lrmctl.stats.intervals import AT_ONCE, RESAMPLES, SEED

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Counts = NDArray[np.float64]


class Alpha(NamedTuple):
    """Krippendorff's alpha with its 95 % interval.

    Attributes:
        value: 1 for perfect agreement, 0 for that of chance, below 0 for less; None where all values are the same, so
            that chance alone would agree, or where no unit has two values.
        low, high: percentile bootstrap over clusters of units; None without a value, and where nobody ever disagrees,
            since an interval of zero width would claim too much.
        units: units with at least two values; only these count.
        differ: units on which the values differ.
    """

    value: float | None
    low: float | None
    high: float | None
    units: int
    differ: int


def krippendorff_alpha(units: Sequence[Sequence[Hashable]], clusters: Sequence[Hashable] | None = None) -> Alpha:
    """Alpha for nominal values.

    Args:
        units: the values that the raters gave each unit, in any order; missing ones left out.
        clusters: of each unit; units of one cluster (samples of one prompt) are resampled together. By default each
            unit is one.
    """
    import numpy as np

    names = range(len(units)) if clusters is None else clusters
    paired = [(values, name) for values, name in zip(units, names, strict=True) if len(values) >= 2]
    differ = sum(len(set(values)) > 1 for values, _ in paired)
    if not paired:
        return Alpha(None, None, None, 0, 0)
    categories = {value: i for i, value in enumerate(dict.fromkeys(v for values, _ in paired for v in values))}
    places = {name: i for i, name in enumerate(dict.fromkeys(name for _, name in paired))}
    counts, agreed = np.zeros((len(places), len(categories))), np.zeros(len(places))
    for values, name in paired:
        own = np.bincount([categories[value] for value in values], minlength=len(categories)).astype(float)
        counts[places[name]] += own
        agreed[places[name]] += (own * (own - 1)).sum() / (len(values) - 1)
    value = float(_alpha(counts.sum(axis=0), agreed.sum()))
    if not math.isfinite(value):
        return Alpha(None, None, None, len(paired), differ)
    low, high = _interval(counts, agreed) if differ and len(places) > 1 else (None, None)
    return Alpha(value, low, high, len(paired), differ)


def _alpha(counts: Any, agreed: Any) -> Any:
    """((n - 1) sum o_cc - sum n_c (n_c - 1)) / (n (n - 1) - sum n_c (n_c - 1)); NaN if there is one category.

    Args:
        counts: n_c, values of each category, [..., categories].
        agreed: sum of the coincidence matrix's diagonal o_cc, [...].
    """
    import numpy as np

    n, same = counts.sum(axis=-1), (counts * (counts - 1)).sum(axis=-1)
    below = n * (n - 1) - same
    return np.where(below > 0, ((n - 1) * agreed - same) / np.where(below > 0, below, 1.0), np.nan)


def _interval(counts: Counts, agreed: Counts) -> tuple[float | None, float | None]:
    """Percentile bootstrap over clusters; [clusters, categories] and [clusters]."""
    import numpy as np

    rng, size = np.random.default_rng(SEED), len(agreed)
    step, drawn = max(1, AT_ONCE // size), []
    for start in range(0, RESAMPLES, step):
        weights = rng.multinomial(size, np.full(size, 1 / size), size=min(step, RESAMPLES - start)).astype(float)
        drawn.append(_alpha(weights @ counts, weights @ agreed))
    found = np.concatenate(drawn)
    found = found[np.isfinite(found)]
    if not found.size:
        return None, None
    low, high = np.percentile(found, (2.5, 97.5))
    return float(low), float(high)
