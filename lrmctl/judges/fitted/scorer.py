"""Probabilities of texts by one fitted judge: windows of long texts, and texts that are far from its training data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lrmctl.errors import JudgeError
from lrmctl.judges.fitted.classifier import FittedClassifier
from lrmctl.judges.fitted.folder import FittedFolder, read_folder
from lrmctl.judges.fitted.manifest import FittedManifest, TfidfSettings
from lrmctl.judges.fitted.reading import FeatureReader, HiddenReader, TfidfReader
from lrmctl.judges.windows import MOST, OVERLAP, windows


class TextScore(NamedTuple):
    """The answer on one text.

    Attributes:
        p: calibrated probability of yes, in [0, 1]; of the worst window.
        yes: whether it reaches the threshold.
        windows: how many windows were read.
        far: why the text cannot be judged; empty if it can.
    """

    p: float
    yes: bool
    windows: int
    far: str


class FittedScorer:
    """One fitted judge in memory.

    Args:
        reader: gives the features of texts.
    """

    def __init__(self, manifest: FittedManifest, classifier: FittedClassifier, reader: FeatureReader) -> None:
        self.manifest, self._classifier, self._reader = manifest, classifier, reader

    def prepare(self) -> None:
        """Load what is slow to load."""
        self._reader.prepare()

    def scores(self, pairs: Sequence[tuple[str, str]]) -> list[TextScore]:
        """One per (prompt, response), all read in one batch."""
        if not pairs:
            return []
        reach = self.manifest.reach
        far = [reach.far(response, self._reader.vocabulary) for _, response in pairs]
        cut = [self._windows(response) for _, response in pairs]
        matrix = self._reader.matrix(
            [(prompt, text) for (prompt, _), some in zip(pairs, cut, strict=True) for text in some]
        )
        rest = iter(self._classifier.probabilities(matrix).tolist())
        worst = [max(next(rest) for _ in some) for some in cut]
        return [
            TextScore(p, p >= self._classifier.threshold, len(some), why)
            for p, some, why in zip(worst, cut, far, strict=True)
        ]

    def _windows(self, response: str) -> list[str]:
        """The response; for a judge of safety in windows, none longer than what it was fitted on if 64 are enough."""
        longest = max(1, self.manifest.reach.longest)
        if self.manifest.about != "unsafe" or len(response) <= longest:
            return [response]
        return windows(response, min(MOST, 1 + math.ceil((len(response) / longest - 1) / (1 - OVERLAP))))


def load_scorer(
    folder: Path, fingerprint: str = "", *, encoder: str | None = None, batch_size: int = 16, device: str = "auto"
) -> FittedScorer:
    """The judge of a folder.

    Args:
        fingerprint: that the manifest has to have; empty for any.
        encoder: the model of hidden states, if not where the manifest says.

    Raises:
        LrmctlError: a file is missing or was changed, or the model is not there or another one.
    """
    read = read_folder(folder)
    if fingerprint and read.fingerprint != fingerprint:
        what = "was fitted again while it was in use"
        raise JudgeError(what, str(folder), "start again, so that all verdicts are of one judge")
    return FittedScorer(read.manifest, classifier_of(read), _reader(read, encoder, batch_size, device))


def classifier_of(read: FittedFolder) -> FittedClassifier:
    """The classifier of a folder."""
    m = read.manifest
    return FittedClassifier(read.weights, m.bias, m.slope, m.offset, m.threshold, m.strength)


def _reader(read: FittedFolder, encoder: str | None, batch_size: int, device: str) -> FeatureReader:
    settings = read.manifest.features
    if isinstance(settings, TfidfSettings):
        return TfidfReader(settings, read)
    from lrmctl.engines.factory import judge_engine

    return HiddenReader(settings, judge_engine(encoder or settings.model, "hf", batch_size=batch_size, device=device))
