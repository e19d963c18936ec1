"""Tables that `datasets.load_dataset` opens: `rows` and `metrics` as Parquet, with a dataset card.

Each file is named after its content. The library's cache of a local folder uses only the names of folder and files:
with equal names, the second of two exports would be served the first one's rows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from lrmctl.export.card import card
from lrmctl.export.source import ExportedEvaluation, new_folder
from lrmctl.runs.eval_rows import EvalRow
from lrmctl.types import Verdict

AT_ONCE = 2_000
"""Rows in memory at the same time."""
ROWS, METRICS, CARD = "rows.parquet", "metrics.parquet", "README.md"
_TEXTS = ("messages", "reference", "thinking", "answer", "extracted", "thinking_raw", "answer_raw", "meta", "error")


def write_hugging_face(evaluation: ExportedEvaluation, out: Path) -> list[Path]:
    """Write both tables and the card to the new folder `out`; without texts their columns are left out.

    Raises:
        LrmctlError: there is nothing to export, or `out` is not empty.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    cells = evaluation.cells
    new_folder(out)
    fields = [field for field in _fields(pa) if evaluation.text or field.name not in _TEXTS]
    schema = pa.schema(fields)
    with pq.ParquetWriter(out / ROWS, schema, compression="zstd") as writer:
        for batch in _batches(evaluation):
            writer.write_table(pa.Table.from_pylist([_row(row) for row in batch], schema=schema))
    figures = [figure for cell in cells for figure in _figures(cell)]
    pq.write_table(pa.Table.from_pylist(figures, schema=_figure_schema(pa)), out / METRICS)
    named = [_named_after_content(out / name) for name in (ROWS, METRICS)]
    (out / CARD).write_text(card(evaluation, [f.name for f in named], [f.name for f in fields]), encoding="utf-8")
    return [*named, out / CARD]


def _named_after_content(path: Path) -> Path:
    with path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return path.rename(path.with_stem(f"{path.stem}-{digest[:12]}"))


def _batches(evaluation: ExportedEvaluation) -> Iterator[Sequence[EvalRow]]:
    rows = evaluation.rows()
    while batch := list(islice(rows, AT_ONCE)):
        yield batch


def _fields(pa: Any) -> list[Any]:
    text, flag, count = pa.string(), pa.bool_(), pa.int64()
    message = pa.struct([("role", text), ("content", text)])
    names = {
        "set": text,
        "kind": text,
        "temperature": pa.float64(),
        "prompt_id": text,
        "sample": count,
        "messages": pa.list_(message),
        "reference": text,
        "meta": text,
        "thinking": text,
        "answer": text,
        "thinking_state": text,
        "finish_reason": text,
        "error": text,
        "irregular": pa.list_(text),
        "thinking_tokens": count,
        "answer_tokens": count,
        "outcome": text,
        "correct": flag,
        "extracted": text,
        "scores": text,
        "also": text,
    }
    for part in ("thinking", "answer"):
        names |= {f"{part}_{key}": text for key in ("judge", "judge_version", "outcome", "raw")}
        names |= {f"{part}_refused": flag, f"{part}_p_unsafe": pa.float64(), f"{part}_labels": pa.list_(text)}
    return [pa.field(name, kind) for name, kind in names.items()]


def _row(row: EvalRow) -> dict[str, Any]:
    """One row of the table; nested values (`meta`, `scores`, `also`) are JSON."""
    t = row.trace
    return {
        "set": row.set,
        "kind": t.prompt.kind,
        "temperature": row.temperature,
        "prompt_id": t.prompt.id,
        "sample": t.sample,
        "messages": [{"role": m["role"], "content": m["content"]} for m in t.prompt.messages],
        "reference": t.prompt.reference,
        "meta": json.dumps(dict(t.prompt.meta), ensure_ascii=False),
        "thinking": t.thinking,
        "answer": t.answer,
        "thinking_state": t.thinking_state,
        "finish_reason": t.finish_reason,
        "error": t.error,
        "irregular": list(t.irregular),
        "thinking_tokens": t.thinking_tokens,
        "answer_tokens": t.answer_tokens,
        "outcome": row.judged_outcome,
        "correct": row.correct,
        "extracted": row.extracted,
        "scores": json.dumps(dict(row.scores)),
        "also": json.dumps([verdict.to_json() for verdict in row.also], ensure_ascii=False),
        **_verdict("thinking", row.thinking),
        **_verdict("answer", row.answer),
    }


def _verdict(part: str, verdict: Verdict | None) -> dict[str, Any]:
    if verdict is None:
        return {}
    return {
        f"{part}_judge": verdict.judge,
        f"{part}_judge_version": verdict.version,
        f"{part}_outcome": verdict.outcome,
        f"{part}_raw": verdict.error or verdict.raw,
        f"{part}_refused": verdict.refused,
        f"{part}_p_unsafe": verdict.p_unsafe,
        f"{part}_labels": list(verdict.labels),
    }


def _figure_schema(pa: Any) -> Any:
    text, number, count = pa.string(), pa.float64(), pa.int64()
    kinds = {"set": text, "kind": text, "temperature": number, "judge": text, "judge_version": text, "metric": text}
    kinds |= {"value": number, "low": number, "high": number, "n": count, "prompts": count, "samples": count}
    return pa.schema(list(kinds.items()))


def _figures(cell: Any) -> Iterator[dict[str, Any]]:
    entry = cell.entry
    for name, figure in entry.get("metrics", {}).items():
        yield {
            **{k: entry.get(k) for k in ("set", "kind", "temperature", "judge", "judge_version", "prompts", "samples")},
            "metric": name,
            **{k: figure.get(k) for k in ("value", "low", "high", "n")},
        }
