"""The evaluation to export, one set at one temperature in memory at a time, with or without texts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

from lrmctl.errors import LrmctlError
from lrmctl.runs.eval_rows import EvalRow, eval_rows
from lrmctl.types import Kind, Verdict

LEFT_OUT = "(text left out)"


@dataclass(frozen=True)
class SummaryLine:
    """One line of the summary: a kind of prompt of one set at one temperature.

    Attributes:
        entry: as in summary.json.
        slug: a name for files and tasks, of plain characters; unique within the evaluation.
    """

    set: str
    kind: Kind
    temperature: float
    entry: Mapping[str, Any]
    slug: str

    @property
    def metrics(self) -> dict[str, Mapping[str, Any]]:
        """The available metrics, by name."""
        return {name: m for name, m in self.entry.get("metrics", {}).items() if m.get("value") is not None}

    @property
    def source(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.entry.get("source") or {}
        return found


@dataclass(frozen=True)
class ExportedEvaluation:
    """An evaluation in `folder`.

    Attributes:
        name: what the user calls it.
        text: whether texts of prompts, traces and judges are exported.
    """

    folder: Path
    name: str
    text: bool = True

    @cached_property
    def summary(self) -> dict[str, Any]:
        from lrmctl.comparison.settings import read_json

        return read_json(self.folder / "summary.json")

    @property
    def model(self) -> str:
        """The name of the evaluated model."""
        return str(self.summary.get("label") or self.summary.get("model") or self.name)

    @cached_property
    def cells(self) -> list[SummaryLine]:
        """In the summary's order.

        Raises:
            LrmctlError: there are none.
        """
        entries = self.summary.get("sets", ())
        if not entries:
            raise LrmctlError("there is nothing to export: no summary", str(self.folder), "run `lrmctl eval` first")
        slugs = _unique([f"{e['set']}-{e['kind']}-t{e['temperature']:g}" for e in entries])
        return [
            SummaryLine(e["set"], e["kind"], e["temperature"], e, slug) for e, slug in zip(entries, slugs, strict=True)
        ]

    def rows(self, cell: SummaryLine | None = None) -> Iterator[EvalRow]:
        """The rows of one cell, or all."""
        for row in eval_rows(self.folder / "rows.jsonl"):
            place = (row.set, row.trace.prompt.kind, row.temperature)
            if cell is None or place == (cell.set, cell.kind, cell.temperature):
                yield row if self.text else without_text(row)


def _unique(names: Sequence[str]) -> list[str]:
    """Names of plain characters; equal ones are numbered."""
    found: dict[str, None] = {}
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_.]+", "-", name).strip("-.")
        free = (plain if n == 1 else f"{plain}-{n}" for n in count(1))
        found[next(slug for slug in free if slug not in found)] = None
    return list(found)


def without_text(row: EvalRow) -> EvalRow:
    """The row with ids, verdicts and scores, without any text of prompts, traces or judges."""
    trace = row.trace
    messages = tuple({"role": m["role"], "content": LEFT_OUT} for m in trace.prompt.messages)
    prompt = replace(trace.prompt, messages=messages, reference=None, meta={})
    return replace(
        row,
        trace=replace(trace, prompt=prompt, thinking="", answer="", error=LEFT_OUT if trace.error else ""),
        thinking=row.thinking and _quiet(row.thinking),
        answer=row.answer and _quiet(row.answer),
        also=tuple(_quiet(verdict) for verdict in row.also),
        extracted=None,
    )


def _quiet(verdict: Verdict) -> Verdict:
    return replace(verdict, raw="", error="the judge failed" if verdict.failed else "")


def new_folder(out: Path) -> Path:
    """An empty folder.

    Raises:
        LrmctlError: it is not empty.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise LrmctlError("this is there already, and is not overwritten", str(out), "name another --out, or remove it")
    out.mkdir(parents=True, exist_ok=True)
    return out
