"""Features of new texts, with everything that was learned from data given: for judging.

Knows no labels and no threshold. scikit-learn counts the n-grams; the model of hidden states is an engine.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lrmctl.errors import JudgeError
from lrmctl.judges.fitted.hidden import mean_states
from lrmctl.judges.fitted.manifest import HiddenSettings, TfidfSettings

if TYPE_CHECKING:
    from lrmctl.engines.base import Engine
    from lrmctl.judges.fitted.folder import FittedFolder


class FeatureReader(ABC):
    """Reads features of texts.

    Attributes:
        vocabulary: words of responses that were seen often enough when it was fitted; None if it has no words.
    """

    vocabulary: frozenset[str] | None = None

    def prepare(self) -> None:
        """Load what is slow to load. Does nothing by default."""

    @abstractmethod
    def matrix(self, pairs: Sequence[tuple[str, str]]) -> Any:
        """[texts, features] of (prompt, response), sparse or dense."""


class TfidfReader(FeatureReader):
    """TF-IDF as fitted by `features.TfidfFeatures`."""

    def __init__(self, settings: TfidfSettings, folder: FittedFolder) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._fields = settings.fields
        self._vectorizers = []
        words: set[str] = set()
        for one in settings.fields:
            terms = folder.terms[one.name]
            vectorizer = TfidfVectorizer(vocabulary=list(terms), sublinear_tf=True, **one.settings())
            vectorizer.idf_ = folder.inverse_frequencies[one.name]
            self._vectorizers.append(vectorizer)
            if one.of == "response" and one.analyzer == "word":
                words.update(term for term in terms if " " not in term)
        self.vocabulary = frozenset(words) or None

    def matrix(self, pairs: Sequence[tuple[str, str]]) -> Any:
        from scipy.sparse import hstack

        both = zip(self._fields, self._vectorizers, strict=True)
        return hstack([vectorizer.transform([one.read(*pair) for pair in pairs]) for one, vectorizer in both]).tocsr()


class HiddenReader(FeatureReader):
    """Mean hidden states.

    Raises:
        JudgeError: the engine's model is not the one that the judge was fitted with.
    """

    def __init__(self, settings: HiddenSettings, engine: Engine) -> None:
        if engine.fingerprint != settings.fingerprint:
            what = (
                f"its model has the fingerprint {engine.fingerprint}, not {settings.fingerprint} as when it was fitted"
            )
            raise JudgeError(
                f"a fitted judge cannot read hidden states: {what}", fix="name the model: `encoder: FOLDER`"
            )
        self._settings, self._engine = settings, engine

    def prepare(self) -> None:
        self._engine.prepare()

    def matrix(self, pairs: Sequence[tuple[str, str]]) -> Any:
        return mean_states(self._engine, pairs, self._settings)
