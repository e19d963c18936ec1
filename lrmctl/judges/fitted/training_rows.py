"""The rows that a judge is fitted on: labelled traces of several files, as texts, labels and prompts. No classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lrmctl._util.words import folded
from lrmctl.errors import LrmctlError
from lrmctl.judges.fitted.text import texts_of
from lrmctl.judges.offline.labels import SETS, About, LabelledTrace, read_labelled
from lrmctl.types import Part

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class TrainingSource:
    """One file.

    Attributes:
        name: as it was given, unique among the files.
        kept: indices of its labelled rows that have something to judge.
    """

    name: str
    labelled: LabelledTrace
    kept: tuple[int, ...]


@dataclass(frozen=True)
class TrainingRows:
    """Rows of all files.

    Attributes:
        texts: prompt and judged part.
        labels, groups: [rows]; rows of one prompt, whatever its file, have the same group.
        sources: name of each row's file.
        files: by name.
    """

    texts: list[tuple[str, str]]
    labels: NDArray[np.bool_]
    groups: NDArray[np.int64]
    sources: list[str]
    files: dict[str, TrainingSource]


def training_rows(
    files: Sequence[str], about: About, part: Part, labels_from: str = "", positive: Sequence[str] = ()
) -> TrainingRows:
    """Read all files.

    Args:
        files: files of rows, or names of known sets (see `offline.labels`).
        labels_from, positive: as for `read_labelled`; known sets bring their own labels.

    Raises:
        NotFoundError: no such file.
        LrmctlError: a row or a label that cannot be read, a file given twice, or rows of one label only.
    """
    import numpy as np

    found = [_source(file, about, part, labels_from, positive) for file in files]
    names = [one.name for one in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise LrmctlError("is given twice", twice[0], "name each file once")
    traces = [(one.name, one.labelled.items[i].trace, one.labelled.labels[i]) for one in found for i in one.kept]
    labels = np.array([label for _, _, label in traces], dtype=bool)
    if len(set(labels.tolist())) < 2:
        what = f"{'all' if labels.any() else 'none'} of the {len(labels)} labelled rows are {about}"
        raise LrmctlError(what, ", ".join(names), "give rows of both labels, or check --labels-from and --positive")
    texts = texts_of([trace for _, trace, _ in traces], part)
    number: dict[str, int] = {}
    groups = [number.setdefault(" ".join(folded(prompt).split()), len(number)) for prompt, _ in texts]
    sources = [name for name, _, _ in traces]
    return TrainingRows(texts, labels, np.array(groups, dtype=np.int64), sources, {one.name: one for one in found})


def _source(file: str, about: About, part: Part, labels_from: str, positive: Sequence[str]) -> TrainingSource:
    known = file in SETS and not Path(file).exists()
    labelled = read_labelled(file, about, "" if known else labels_from, () if known else positive)
    texts = texts_of([item.trace for item in labelled.items], part)
    kept = [i for i, (_, text) in enumerate(texts) if text and labelled.items[i].trace.finish_reason != "error"]
    return TrainingSource(file, labelled, tuple(kept))
