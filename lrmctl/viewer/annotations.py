"""What analyses found in the traces of one run: judged segments, and the entropy of each token."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lrmctl.runs.damage import FIX, DamagedError, part_of, read_object
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
        self._read_tokens(run / "analysis" / "tokens")

    def segments_of(self, name: RowName, characters: int) -> list[Segment]:
        """The judged segments of a thought in order; none where it was not judged so, or is another text now."""
        spans, outcomes = self._segments.get(name, ([], []))
        if spans and spans[-1][1] > characters:
            return []
        return [(start, end, word) for (start, end), word in zip(spans, outcomes, strict=True)]

    def tokens_of(self, name: RowName, place: Utf16) -> TokenBytes | None:
        """The tokens of a thought; None where it was not analysed.

        Args:
            place: of the thought's text.
        """
        found = self._tokens.get(name)
        if found is None or not len(found.start):
            return None
        return TokenBytes(len(found.start), found.entropy, found.kl, _distances(place.array(found.start)), found.mean)

    def _read_segments(self, path: Path) -> None:
        with part_of(path):
            for line in read_jsonl(path):
                name = RowName(line["set"], line["temperature"], line["prompt"], line["sample"])
                self._segments[name] = (line["spans"], line["outcomes"])

    def _read_tokens(self, folder: Path) -> None:
        for name, start, entropy, kl in _token_rows(folder):
            mean = round(float(entropy.mean()), 4) if len(entropy) else 0.0
            self._tokens[name] = _Stored(start, quantized(entropy), b"" if kl is None else quantized(kl), mean)


def lexicon_of(run: Path) -> str:
    """Name of the lexicon whose words are marked: the lab's own or the first that the analysis counted, else wait-like
    words of the literature."""
    rows = run / "eval" / "rows.jsonl"
    found = read_object(run / "analysis" / "reflection.json")
    if rows.is_file() and found.get("rows_sha256") == rows_digest(rows):
        names = list(found.get("lexicons") or ())
        return str(names[0]) if names else DEFAULT_LEXICON
    return DEFAULT_LEXICON


DEFAULT_LEXICON = "cyclicreflex"


def quantized(nats: NDArray[np.float32]) -> bytes:
    """Nats `[tokens]` as bytes: fine where they are small, exact to 0.07 at 5 nats."""
    import numpy as np

    scaled = np.sqrt(np.clip(np.nan_to_num(nats), 0.0, MOST_NATS) / MOST_NATS) * 255
    found: bytes = np.rint(scaled).astype(np.uint8).tobytes()
    return found


def _distances(start: NDArray[np.int64]) -> bytes:
    """Starts `[tokens]` as distances: as many bytes of 255 as fit, then the rest."""
    import numpy as np

    steps = np.maximum(np.diff(start, prepend=0), 0)
    if steps.max(initial=0) < 255:
        return steps.astype(np.uint8).tobytes()
    ends = np.cumsum(steps // 255 + 1)
    out = np.full(int(ends[-1]), 255, np.uint8)
    out[ends - 1] = steps % 255
    return out.tobytes()


def _token_rows(folder: Path) -> Iterator[tuple[RowName, Any, Any, Any]]:
    """Name, starts, entropies and divergences of each trace in the Parquet files of a folder."""
    import numpy as np
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    for path in sorted(folder.glob("*.parquet")):
        try:
            table = pq.read_table(path)
            for i in range(table.num_rows):
                word = {key: table[key][i].as_py() for key in ("set", "temperature", "prompt", "sample")}
                start, entropy, kl = (table[key][i].values for key in ("start", "entropy", "kl"))
                start = np.maximum.accumulate(start.to_numpy().astype(np.int64)) if start is not None else np.array([])
                yield RowName(**word), start, entropy.to_numpy(), None if kl is None else kl.to_numpy()
        except (pa.ArrowInvalid, KeyError, OSError, AttributeError) as error:
            raise DamagedError(f"this is no table of tokens: {error}", str(path), FIX) from error
