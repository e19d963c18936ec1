"""Figures of every token of every thought, in Parquet files beside the analysis: written as they come, read by column.

`analysis/tokens/*.parquet` has one row a trace. Its list columns have one value a token of the thinking: the token's
id, the character of the thought at which it begins, and the fields of `TokenStatistics`, rounded to 1e-4 (nats are
known to about 5e-5). Each file's metadata says what its figures depend on: a second run takes over the rows of files
that depend on the same, and throws the others away.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from lrmctl.engines.probabilities import TokenStatistics
from lrmctl.runs.damage import FIX, DamagedError
from lrmctl.runs.eval_rows import EvalRow
from lrmctl.runs.writing import replacing_path

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMAT = "1"
DIGITS = 4
PART_TOKENS = 200_000
"""Tokens of a file: what a killed run loses at most."""
STATISTICS = TokenStatistics._fields
_NAME = ("set", "kind", "temperature", "prompt", "sample")


class TraceTokens(NamedTuple):
    """One trace's thinking, token by token.

    Attributes:
        set, kind, temperature, prompt, sample: of the trace; together they name it in its evaluation.
        key: of all that its figures depend on besides the models.
        ids: int32 `[tokens]`.
        start: int32 `[tokens]`, the character of `Trace.thinking` at which each token begins.
        entropy and so on: see `TokenStatistics`; float32 `[tokens]`. The last three are None without a base.
    """

    set: str
    kind: str
    temperature: float
    prompt: str
    sample: int
    key: str
    ids: NDArray[np.int32]
    start: NDArray[np.int32]
    entropy: NDArray[np.float32]
    varentropy: NDArray[np.float32]
    top_mass: NDArray[np.float32]
    logprob: NDArray[np.float32]
    base_entropy: NDArray[np.float32] | None = None
    kl: NDArray[np.float32] | None = None
    log_ratio: NDArray[np.float32] | None = None

    @property
    def name(self) -> tuple[str, str, float, str, int]:
        """What the trace is called in its evaluation; see `name_of`."""
        return self[:5]


def name_of(row: EvalRow) -> tuple[str, str, float, str, int]:
    """Set, kind, temperature, prompt id and sample of a row."""
    trace = row.trace
    id = trace.prompt.id.encode("utf-8", "backslashreplace").decode()  # a lone surrogate is no text in Parquet
    return row.set, trace.prompt.kind, row.temperature, id, trace.sample


def key_of(context: Iterable[int], thinking: Iterable[int]) -> str:
    """Of the token ids that a trace's figures are made of."""
    return hashlib.sha256(json.dumps([list(context), list(thinking)]).encode()).hexdigest()[:24]


def read_tokens(folder: Path) -> Iterator[TraceTokens]:
    """The traces of a run's `analysis/tokens`, in no particular order; none where there is no such folder.

    Raises:
        DamagedError: a file that is no such table.
    """
    for path in sorted(folder.glob("*.parquet")):
        yield from _read(path)


class TokenColumn(NamedTuple):
    """One column of a file.

    Attributes:
        bounds: int64 `[traces + 1]`; trace i has the values from `bounds[i]` to `bounds[i + 1]`, none if it has no such
            figure.
        values: of all traces, one after the other.
    """

    bounds: NDArray[np.int64]
    values: NDArray[Any]


def read_columns(
    folder: Path, names: Sequence[str]
) -> Iterator[tuple[list[tuple[str, str, float, str, int]], dict[str, TokenColumn]]]:
    """The named list columns of each file of a folder, and the names of its traces: a tenth of the time of
    `read_tokens` for who needs few of them.

    Raises:
        DamagedError: a file that is no such table.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    for path in sorted(folder.glob("*.parquet")):
        try:
            table = pq.read_table(path, columns=[*_NAME, *names])
            traces = list(zip(*(table[key].to_pylist() for key in _NAME), strict=True))
            lists = {name: table[name].combine_chunks() for name in names}
            found = {name: TokenColumn(_bounds(one), one.flatten().to_numpy()) for name, one in lists.items()}
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, KeyError, OSError, AttributeError) as error:
            raise DamagedError(f"this is no table of tokens: {error}", str(path), FIX) from error
        yield traces, found


def _bounds(column: Any) -> NDArray[np.int64]:
    """Where each row's values begin once those of all rows stand one after the other."""
    import numpy as np
    import pyarrow.compute as pc

    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


class TokenStore:
    """The files of one analysis; a context manager that writes what is left when it ends.

    Args:
        folder: `analysis/tokens` of a run.
        made_of: what the figures depend on besides the trace: models, dtype, k.
    """

    def __init__(self, folder: Path, made_of: Mapping[str, Any]) -> None:
        self.folder = folder
        self._made_of = json.dumps({"format": FORMAT, **made_of}, sort_keys=True)
        self._rows: list[TraceTokens] = []
        self._tokens = self._next = 0

    def __enter__(self) -> TokenStore:
        """Takes away files that depend on something else."""
        for path in sorted(self.folder.glob("*.parquet")):
            if _made_of(path) != self._made_of:
                path.unlink()
            else:
                self._next = int(path.stem) + 1
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._flush()

    def keys(self) -> set[str]:
        """Of the traces that are there."""
        import pyarrow.parquet as pq

        paths = sorted(self.folder.glob("*.parquet"))
        return {str(key) for path in paths for key in pq.read_table(path, columns=["key"])["key"].to_pylist()}

    def add(self, row: TraceTokens) -> None:
        self._rows.append(row)
        self._tokens += len(row.ids)
        if self._tokens >= PART_TOKENS:
            self._flush()

    def keep_only(self, keys: set[str]) -> None:
        """Write everything as one file, without the traces that are not among these keys."""
        self._flush()
        paths = sorted(self.folder.glob("*.parquet"))
        rows = [row for path in paths for row in _read(path)]
        kept = list({row.key: row for row in rows if row.key in keys}.values())
        if len(paths) > 1 or len(kept) < len(rows):
            self._rows, self._next = kept, self._next + 1
            self._flush()
            for path in paths:
                path.unlink()

    def _flush(self) -> None:
        if not self._rows:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{self._next:05d}.parquet"
        _write(path, self._rows, self._made_of)
        self._next += 1
        self._rows, self._tokens = [], 0


def _write(path: Path, rows: list[TraceTokens], made_of: str) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    def lists(name: str) -> pa.Array:
        values = [getattr(row, name) for row in rows]
        integers = name in ("ids", "start")
        rounded = [v if v is None or integers else np.round(np.asarray(v, np.float32), DIGITS) for v in values]
        return pa.array(rounded, pa.list_(pa.int32() if integers else pa.float32()))

    columns: dict[str, Any] = {
        "set": pa.array([row.set for row in rows], pa.string()),
        "kind": pa.array([row.kind for row in rows], pa.string()),
        "temperature": pa.array([row.temperature for row in rows], pa.float64()),
        "prompt": pa.array([row.prompt for row in rows], pa.string()),
        "sample": pa.array([row.sample for row in rows], pa.int32()),
        "key": pa.array([row.key for row in rows], pa.string()),
    }
    columns |= {name: lists(name) for name in ("ids", "start", *STATISTICS)}
    table = pa.table(columns).replace_schema_metadata({"lrmctl": made_of})
    with replacing_path(path) as part:
        pq.write_table(table, part, compression="zstd")


def _read(path: Path) -> Iterator[TraceTokens]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        for i in range(table.num_rows):
            cells = (table[name][i] for name in TraceTokens._fields)
            yield TraceTokens(*(cell.values.to_numpy() if _is_list(cell) else cell.as_py() for cell in cells))
    except (pa.ArrowInvalid, KeyError, OSError) as error:
        raise DamagedError(f"this is no table of tokens: {error}", str(path), FIX) from error


def _is_list(cell: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_list(cell.type) and bool(cell.is_valid)


def _made_of(path: Path) -> str:
    """What a file says that it depends on; empty for a file that is none of ours."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        found = (pq.read_schema(path).metadata or {}).get(b"lrmctl", b"")
    except (pa.ArrowInvalid, OSError):
        return ""
    return str(found.decode())
