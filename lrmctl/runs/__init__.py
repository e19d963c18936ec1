"""Run folders: layout, locking, file formats, and which folders lrmctl may delete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl._util.lazy import lazy_names

if TYPE_CHECKING:
    from lrmctl.runs.damage import DamagedError, read_object
    from lrmctl.runs.eval_rows import EvalRow, read_rows, rows_digest
    from lrmctl.runs.folder import RunFolder, eval_folder
    from lrmctl.runs.holding import hold, hold_file, is_held
    from lrmctl.runs.jsonl import read_jsonl, write_jsonl
    from lrmctl.runs.names import check_name, named_run, runs_folder
    from lrmctl.runs.writing import replacing, write_json, write_text

__all__ = [
    "DamagedError",
    "EvalRow",
    "RunFolder",
    "check_name",
    "eval_folder",
    "hold",
    "hold_file",
    "is_held",
    "named_run",
    "read_jsonl",
    "read_object",
    "read_rows",
    "replacing",
    "rows_digest",
    "runs_folder",
    "write_json",
    "write_jsonl",
    "write_text",
]

__getattr__ = lazy_names(
    __name__,
    {
        "folder": ["RunFolder", "eval_folder"],
        "eval_rows": ["EvalRow", "read_rows", "rows_digest"],
        "jsonl": ["read_jsonl", "write_jsonl"],
        "holding": ["hold", "hold_file", "is_held"],
        "names": ["check_name", "named_run", "runs_folder"],
        "damage": ["DamagedError", "read_object"],
        "writing": ["replacing", "write_json", "write_text"],
    },
)
