"""What analyses found in the traces of one run: judged segments, and the entropy of each token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lrmctl.analysis.tokens import read_columns
from lrmctl.runs.damage import part_of, read_object
from lrmctl.runs.eval_rows import rows_digest
from lrmctl.runs.jsonl import read_jsonl
from lrmctl.viewer.utf16 import Utf16

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Segment = tuple[int, int, str]
"""Start and end in characters of the thinking, and the verdict's word."""
MOST_NATS = 16.0
"""Largest entropy that a byte can say; a byte b stands for `MOST_NATS * (b / 255)**2` nats."""


class RowName(NamedTuple):
    """What tells the traces of one run apart."""

    set: str
    temperature: float
    prompt: str
    sample: int


@dataclass(frozen=True, slots=True)
class TokenBytes:
    """The tokens of one thought, small enough for a page.

    Attributes:
        count: tokens.
        entropy: one byte a token; see `MOST_NATS`.
        kl: divergence from the base model in the same form; empty without a base.
        starts: distances between the starts of tokens; a byte of 255 goes on with the next one.
        mean: mean entropy in nats.
    """

    count: int
    entropy: bytes
    kl: bytes
    starts: bytes
    mean: float


class _Stored(NamedTuple):
    start: NDArray[np.int64]
    entropy: bytes
    kl: bytes
    mean: float


class Annotations:
    """Segments and tokens of a run's traces, looked up by the trace's name.

    Raises:
        DamagedError: a file of them is not what lrmctl wrote.
    """

    def __init__(self, run: Path) -> None:
        self._segments: dict[RowName, tuple[list[list[int]], list[str]]] = {}
        self._tokens: dict[RowName, _Stored] = {}
        if not (run / "eval" / "rows.jsonl").is_file():
            return
        self._read_segments(run / "analysis" / "segments.jsonl")
        if _is_of_these_rows(run, read_object(run / "analysis" / "entropy.json")):
            self._read_tokens(run / "analysis" / "tokens")

    def segments_of(self, name: RowName, characters: int) -> list[Segment]:
        """The judged segments of a thought in order; none where it was not judged so, or is another text now."""
        spans, outcomes = self._segments.get(name, ([], []))
        if spans and spans[-1][1] > characters:
            return []
        return [(start, end, word) for (start, end), word in zip(spans, outcomes, strict=True)]

    def tokens_of(self, name: RowName, place: Utf16) -> TokenBytes | None:
        """The tokens of a thought; None where it was not analysed, or is another text now.

        Args:
            place: of the thought's text.
        """
        found = self._tokens.get(name)
        if found is None or not len(found.start) or found.start[-1] >= place.characters:
            return None
        return TokenBytes(len(found.start), found.entropy, found.kl, _distances(place.array(found.start)), found.mean)

    def _read_segments(self, path: Path) -> None:
        with part_of(path):
            for line in read_jsonl(path):
                name = RowName(line["set"], line["temperature"], line["prompt"], line["sample"])
                self._segments[name] = (line["spans"], line["outcomes"])

    def _read_tokens(self, folder: Path) -> None:
        import numpy as np

        for names, columns in read_columns(folder, ("start", "entropy", "kl")):
            sums = np.concatenate([[0.0], np.cumsum(columns["entropy"].values, dtype=np.float64)])
            entropy, kl = (quantized(columns[name].values) for name in ("entropy", "kl"))
            starts = columns["start"].values.astype(np.int64)
            at, at_kl = columns["start"].bounds.tolist(), columns["kl"].bounds.tolist()
            for i, (set_name, _, temperature, prompt, sample) in enumerate(names):
                first, end = at[i], at[i + 1]
                mean = round(float(sums[end] - sums[first]) / max(1, end - first), 4)
                stored = _Stored(starts[first:end], entropy[first:end], kl[at_kl[i] : at_kl[i + 1]], mean)
                self._tokens[RowName(set_name, temperature, prompt, sample)] = stored


def lexicon_of(run: Path) -> str:
    """Name of the lexicon whose words are marked: the first that the analysis counted, else `DEFAULT_LEXICON`."""
    names = list(read_object(run / "analysis" / "reflection.json").get("lexicons") or ())
    return str(names[0]) if names else DEFAULT_LEXICON


DEFAULT_LEXICON = "cyclicreflex"


def _is_of_these_rows(run: Path, analysis: Mapping[str, Any]) -> bool:
    """Whether an analysis is of the rows that are there; one that is under way has not said of which it is."""
    made_of = analysis.get("rows_sha256")
    return made_of is None or made_of == rows_digest(run / "eval" / "rows.jsonl")


def quantized(nats: NDArray[np.float32]) -> bytes:
    """Nats `[tokens]` as bytes: fine where they are small, exact to 0.07 at 5 nats."""
    import numpy as np

    scaled = np.sqrt(np.clip(np.nan_to_num(nats), 0.0, MOST_NATS) / MOST_NATS) * 255
    found: bytes = np.rint(scaled).astype(np.uint8).tobytes()
    return found


def _distances(start: NDArray[np.int64]) -> bytes:
    """Starts `[tokens]` as distances: as many bytes of 255 as fit, then the rest."""
    import numpy as np

    steps = np.maximum.accumulate(start)
    steps[1:] -= steps[:-1].copy()
    if steps.max(initial=0) < 255:
        return steps.astype(np.uint8).tobytes()
    ends = np.cumsum(steps // 255 + 1)
    out = np.full(int(ends[-1]), 255, np.uint8)
    out[ends - 1] = steps % 255
    return out.tobytes()
