"""Which tokens are uncertain, and which became more or less so: tables by vocabulary entry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lrmctl.analysis.entropy import Threshold
from lrmctl.analysis.tokens import TraceTokens

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SHOWN = 50
LEAST = 10
"""Times that a token has to stand somewhere for its mean change to be listed."""


class _Sums:
    """Sums and counts by token id."""

    def __init__(self) -> None:
        import numpy as np

        self.count = np.zeros(0, dtype=np.int64)
        self.total = np.zeros(0)

    def add(self, ids: NDArray[np.int32], values: NDArray[np.float32]) -> None:
        import numpy as np

        if not ids.size:
            return
        size = max(int(ids.max()) + 1, self.count.size)
        self.count = _grown(self.count, size) + np.bincount(ids, minlength=size)
        self.total = _grown(self.total, size) + np.bincount(ids, weights=values, minlength=size)

    def mean(self) -> NDArray[np.float64]:
        import numpy as np

        found: NDArray[np.float64] = self.total / np.maximum(self.count, 1)
        return found


def _grown(values: NDArray[Any], size: int) -> NDArray[Any]:
    import numpy as np

    return np.pad(values, (0, size - values.size))


def forking_tokens(
    traces: Iterable[TraceTokens], thresholds: Mapping[Threshold, float], text_of: Callable[[int], str]
) -> list[dict[str, Any]]:
    """Tokens that stand where entropy is above the threshold of their set, most frequent first.

    Returns:
        At most 50 of `{"token", "count", "mean"}`: how often it stands there, and the mean entropy there in nats.
    """
    import numpy as np

    above = _Sums()
    for trace in traces:
        threshold = thresholds.get((trace.set, trace.kind, trace.temperature))
        if threshold is not None:
            chosen = trace.entropy > threshold
            above.add(trace.ids[chosen], trace.entropy[chosen])
    mean = above.mean()
    order = np.argsort(-above.count, kind="stable")[:SHOWN]
    return [
        {"token": text_of(int(i)), "count": int(above.count[i]), "mean": float(mean[i])}
        for i in order
        if above.count[i]
    ]


def changed_tokens(
    traces: Sequence[TraceTokens], text_of: Callable[[int], str], *, gained: bool
) -> list[dict[str, Any]] | None:
    """Tokens at which the model is less certain than its base (`gained` entropy), or more (`lost`), over the same text.

    Returns:
        At most 50 of `{"token", "count", "base", "here", "change"}`, mean entropies in nats, largest change first;
        tokens that stand in fewer than 10 places are left out. None where no base has read the text.
    """
    import numpy as np

    here, there = _Sums(), _Sums()
    for trace in traces:
        if trace.base_entropy is not None:
            here.add(trace.ids, trace.entropy)
            there.add(trace.ids, trace.base_entropy)
    if not here.count.size:
        return None
    change = here.mean() - there.mean()
    order = np.argsort(-change if gained else change, kind="stable")
    listed = [int(i) for i in order if here.count[i] >= LEAST and (change[i] > 0 if gained else change[i] < 0)]
    base, now = there.mean(), here.mean()
    return [
        {
            "token": text_of(i),
            "count": int(here.count[i]),
            "base": float(base[i]),
            "here": float(now[i]),
            "change": float(change[i]),
        }
        for i in listed[:SHOWN]
    ]
