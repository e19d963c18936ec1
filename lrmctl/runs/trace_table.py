"""`analysis/traces.parquet`: one row per analysed trace, one column per metric, for comparisons and other tools.

Written by the analysis and read by comparisons. A metric that was not measured for a trace is null.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lrmctl.runs.damage import FIX, DamagedError
from lrmctl.runs.writing import replacing_path

NAME = "traces.parquet"
KEYS = ("set", "kind", "temperature", "prompt", "sample", "outcome")


class TraceTable(NamedTuple):
    """The file's columns by name, each [traces], and its metadata."""

    columns: Mapping[str, list[Any]]
    rows_sha256: str

    def __len__(self) -> int:
        return len(self.columns["set"])


def write_trace_table(folder: Path, rows: Iterable[Mapping[str, Any]], rows_sha256: str) -> None:
    """Write the table into an analysis folder.

    Args:
        rows: `KEYS` and metrics of each trace; a missing name becomes null.
        rows_sha256: digest of the evaluation's rows that they were computed from.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    listed = list(rows)
    names = [*KEYS, *dict.fromkeys(name for row in listed for name in row if name not in KEYS)]
    columns = {name: pa.array([row.get(name) for row in listed], _type(name)) for name in names}
    table = pa.table(columns).replace_schema_metadata({"rows_sha256": rows_sha256})
    with replacing_path(folder / NAME) as part:
        pq.write_table(table, part, compression="zstd")


def _type(name: str) -> Any:
    import pyarrow as pa

    if name in ("set", "kind", "prompt", "outcome"):
        return pa.string()
    return pa.int32() if name == "sample" else pa.float64()


def read_trace_table(folder: Path) -> TraceTable | None:
    """The table of an analysis folder; None if there is none.

    Raises:
        DamagedError: the file is not such a table.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / NAME
    if not path.is_file():
        return None
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise DamagedError(f"this is no table of traces: {error}", str(path), FIX) from error
    if missing := set(KEYS) - set(table.column_names):
        raise DamagedError(f"the column {min(missing)!r} is missing", str(path), FIX)
    told = (table.schema.metadata or {}).get(b"rows_sha256", b"").decode()
    return TraceTable({name: table[name].to_pylist() for name in table.column_names}, told)
