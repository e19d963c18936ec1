"""Rows as arrays: after one pass over the rows, everything is arithmetic on [prompts, samples]. Texts are not kept."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from lrmctl.metrics.per_row import Metric, extra_metrics
from lrmctl.runs.eval_rows import EvalRow

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]


class MetricTable:
    """The values of rows of one set, kind and temperature, by metric.

    Prompts may have different numbers of samples: missing ones are NaN, as are those that do not count.

    Attributes:
        prompts: in order of first appearance.
        samples: number requested, or the most that a prompt has.
        columns: metric -> [rows].
        answers: the extracted answer of each row.
    """

    def __init__(self, rows: Iterable[EvalRow], metrics: Mapping[str, Metric], samples: int = 1) -> None:
        self.samples = samples
        self.columns = {name: array("d") for name in metrics}
        self.answers: list[str | None] = []
        self._extra: dict[str, tuple[array[int], array[float]]] = {}
        self._seen: dict[str, int] = {}
        self._counts = array("l")
        self._prompt, self._sample = array("l"), array("l")
        each = [(self.columns[name].append, metric) for name, metric in metrics.items()]
        for row in rows:
            self._place(row.trace.prompt.id)
            for append, metric in each:
                value = metric(row)
                append(_NAN if value is None else value)
            if row.scores or row.also:
                self._add_further(row)
            self.answers.append(row.extracted)

    @property
    def prompts(self) -> int:
        return len(self._seen)

    @property
    def extra(self) -> tuple[str, ...]:
        """Names of the `extra` metrics, in order of appearance."""
        return tuple(self._extra)

    def matrix(self, name: str) -> Matrix:
        """A metric's values: [prompts, samples]."""
        import numpy as np

        if name not in self._extra:
            return self.spread(np.frombuffer(self.columns[name]))
        at, values = self._extra[name]
        whole = np.full(len(self.answers), np.nan)
        whole[np.frombuffer(at, dtype=np.dtype("l"))] = np.frombuffer(values)
        return self.spread(whole)

    def spread(self, column: Any) -> Matrix:
        """[rows] as [prompts, samples]."""
        import numpy as np

        place = tuple(np.frombuffer(i, dtype=np.dtype("l")) for i in (self._prompt, self._sample))
        matrix = np.full((self.prompts, self.samples), np.nan)
        matrix[place] = column
        return matrix

    def by_prompt(self) -> list[list[int]]:
        """Row indices of each prompt, in order."""
        found: list[list[int]] = [[] for _ in self._seen]
        for row, prompt in enumerate(self._prompt):
            found[prompt].append(row)
        return found

    def _place(self, prompt: str) -> None:
        index = self._seen.setdefault(prompt, len(self._seen))
        if index == len(self._counts):
            self._counts.append(0)
        self._prompt.append(index)
        self._sample.append(self._counts[index])
        self._counts[index] += 1
        self.samples = max(self.samples, self._counts[index])

    def _add_further(self, row: EvalRow) -> None:
        for name, value in extra_metrics(row):
            at, values = self._extra.setdefault(name, (array("l"), array("d")))
            at.append(len(self.answers))
            values.append(value)


_NAN = float("nan")
