"""Evaluation folders of plain rows, for comparing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from lrmctl.runs.eval_rows import EvalRow
from lrmctl.runs.jsonl import write_jsonl
from lrmctl.types import FinishReason, Kind, Prompt, Trace, Verdict


def row(
    prompt: str, safe: bool | None, *, sample: int = 0, text: str = "", judge: str = "1", t: float = 0.6
) -> EvalRow:
    asked = Prompt.user(prompt, text or f"ask {prompt}", "harmful")
    error = "" if safe is not None else "no answer"

    def verdict(part: str) -> Verdict:
        return Verdict("lab", judge, part, safe=safe, malformed=None if error else False, error=error)  # type: ignore[arg-type]

    trace = Trace(asked, "thinking", "answer", "closed", sample=sample)
    return EvalRow("s", t, trace, verdict("thinking"), verdict("answer"))


def evaluated(folder: Path, rows: Sequence[EvalRow], **summary: object) -> Path:
    write_jsonl(folder / "eval" / "rows.jsonl", (r.to_json() for r in rows))
    (folder / "eval" / "summary.json").write_text(json.dumps({"sets": [], **summary}))
    return folder


def benign(prompt: str, refused: bool, *, sample: int = 0) -> EvalRow:
    trace = Trace(Prompt.user(prompt, f"ask {prompt}", "benign"), "thinking", "answer", "closed", sample=sample)

    def verdict(part: str) -> Verdict:
        return Verdict("lab", "1", part, safe=True, refused=refused, malformed=False)  # type: ignore[arg-type]

    return EvalRow("b", 0.6, trace, verdict("thinking"), verdict("answer"))


def sum_of(
    prompt: str, correct: bool | None, *, sample: int = 0, gold: str = "8", finish: FinishReason = "stop"
) -> EvalRow:
    kind: Kind = "reasoning"
    asked = Prompt.user(prompt, f"ask {prompt}", kind, reference=gold)
    return EvalRow("sums", 0.6, Trace(asked, "5+3", "8", "closed", finish, sample=sample), correct=correct)
