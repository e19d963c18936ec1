"""The manifest of a fitted judge: what it is, what it was fitted on, how good it is. JSON, checked by one schema."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from lrmctl.judges.fitted.scores import FittedScores
from lrmctl.judges.fitted.text import Reach, TextField
from lrmctl.judges.offline.labels import About
from lrmctl.types import Part

FORMAT = "lrmctl fitted judge 1"


class TfidfSettings(Struct, frozen=True, forbid_unknown_fields=True, tag="tfidf", tag_field="kind"):
    """TF-IDF of n-grams; `fields` in the order of the weights."""

    fields: tuple[TextField, ...]


class HiddenSettings(Struct, frozen=True, forbid_unknown_fields=True, tag="hidden", tag_field="kind"):
    """Mean hidden state over the tokens of the judged text, after its prompt.

    Attributes:
        model: as it was named; `fingerprint` identifies its weights.
        layer: whose output is read; 0 is the embedding, -1 the last one.
        prompt_tokens, response_tokens: the last tokens of the prompt and the first of the text that are read.
    """

    model: str
    fingerprint: str
    layer: int
    prompt_tokens: int
    response_tokens: int


class FittedSource(Struct, frozen=True, forbid_unknown_fields=True):
    """One file that a judge was fitted on.

    Attributes:
        labels: where its labels come from.
        unlabelled, empty: rows left out because they have no label, or nothing to judge.
        held_out: its rows in the cross-validation by prompt.
        unseen: judged by a model fitted on the other sources; None if there are none, or too few labels in them.
    """

    name: str
    file: str
    sha256: str
    labels: str
    rows: int
    prompts: int
    positives: int
    unlabelled: int
    empty: int
    held_out: FittedScores | None = None
    unseen: FittedScores | None = None


class FileSums(Struct, frozen=True, forbid_unknown_fields=True):
    """SHA-256 of the other files of the folder."""

    weights: str
    vocabulary: str


class FittedManifest(Struct, frozen=True, forbid_unknown_fields=True):
    """All facts of a fitted judge.

    Attributes:
        about: what its answer is about.
        part: the part of the traces that it was fitted on.
        threshold: yes from this probability on; `threshold_by` says how it was chosen.
        strength: C of the logistic regression, chosen on held-out prompts.
        slope, offset: of Platt's sigmoid.
        held_out: cross-validation by prompt, over all sources.
        measured: held-out sensitivity and specificity, as `evaluation.measured` of a recipe takes them; only of judges
            of safety.
    """

    format: Literal["lrmctl fitted judge 1"]
    about: About
    part: Part
    features: TfidfSettings | HiddenSettings
    reach: Reach
    threshold: float
    threshold_by: str
    strength: float
    bias: float
    slope: float
    offset: float
    sources: tuple[FittedSource, ...]
    folds: int
    seed: int
    held_out: FittedScores
    versions: dict[str, str]
    files: FileSums
    measured: dict[str, float | int | dict[str, float | int]] = {}
