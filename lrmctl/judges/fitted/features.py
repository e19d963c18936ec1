"""Features of traces as matrices, for fitting: TF-IDF of n-grams, or mean hidden states of a model.

`prepared(rows)` computes everything that is learned from data (vocabulary, document frequencies, means) on the given
rows only, so that held-out rows never contribute to it. Knows no labels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lrmctl.errors import LrmctlError
from lrmctl.judges.fitted.text import TextField

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows = NDArray[np.int64]
    Vector = NDArray[np.float64]

LEAST_ROWS = 2
"""A term has to occur in this many rows."""
MOST_TERMS = 20_000
"""Terms of one field, the most frequent ones."""


@dataclass(frozen=True)
class PreparedFeatures:
    """Features of all rows, after learning from some of them.

    Attributes:
        matrix: [rows, features], sparse or dense.
        terms: of each field, in the order of the columns.
        inverse_frequencies: of each field, `[terms]`.
        mean, scale: that dense features were standardised with, `[features]`.
    """

    matrix: Any
    terms: Mapping[str, Sequence[str]] = field(default_factory=dict)
    inverse_frequencies: Mapping[str, Vector] = field(default_factory=dict)
    mean: Vector | None = None
    scale: Vector | None = None


class TrainingFeatures(ABC):
    """Features of the rows of a training set."""

    @abstractmethod
    def prepared(self, rows: Rows) -> PreparedFeatures:
        """Features of all rows; what is learned from data is learned from `rows`, which are indices."""


class TfidfFeatures(TrainingFeatures):
    """TF-IDF, each field with L2 norm 1 and sublinear term frequencies.

    Args:
        texts: prompt and response of each row.

    Raises:
        LrmctlError: here or when prepared: no term occurs in two of the rows.
    """

    def __init__(self, fields: Sequence[TextField], texts: Sequence[tuple[str, str]]) -> None:
        from sklearn.feature_extraction.text import CountVectorizer

        self._counts: dict[str, Any] = {}
        self._terms: dict[str, Any] = {}
        for one in fields:
            counter = CountVectorizer(**one.settings())
            try:
                self._counts[one.name] = counter.fit_transform([one.read(*pair) for pair in texts])
            except ValueError as error:  # none of the texts has a word
                raise _too_few(one.name) from error
            self._terms[one.name] = counter.get_feature_names_out()

    def prepared(self, rows: Rows) -> PreparedFeatures:
        import numpy as np
        from scipy.sparse import hstack
        from sklearn.feature_extraction.text import TfidfTransformer

        parts, terms, frequencies = [], {}, {}
        for name, counts in self._counts.items():
            some = counts[rows]
            in_rows = np.bincount(some.indices, minlength=some.shape[1])
            frequent = np.flatnonzero(in_rows >= LEAST_ROWS)
            if not len(frequent):
                raise _too_few(name)
            kept = np.sort(frequent[np.argsort(-in_rows[frequent], kind="stable")[:MOST_TERMS]])
            weighted = TfidfTransformer(sublinear_tf=True).fit(some[:, kept])
            parts.append(weighted.transform(counts[:, kept]))
            terms[name] = self._terms[name][kept].tolist()
            frequencies[name] = np.asarray(weighted.idf_, dtype=np.float64)
        return PreparedFeatures(hstack(parts).tocsr(), terms, frequencies)


def _too_few(field: str) -> LrmctlError:
    what = f"there is nothing to learn from ({field}): no term occurs in {LEAST_ROWS} of the rows"
    return LrmctlError(what, fix="give more rows, of real text, or fewer --folds")


class HiddenFeatures(TrainingFeatures):
    """Mean hidden states, standardised.

    Args:
        states: [rows, hidden size].
    """

    def __init__(self, states: Vector) -> None:
        self._states = states

    def prepared(self, rows: Rows) -> PreparedFeatures:
        import numpy as np

        mean = self._states[rows].mean(axis=0)
        scale = np.maximum(self._states[rows].std(axis=0), 1e-8)
        return PreparedFeatures((self._states - mean) / scale, mean=mean, scale=scale)
