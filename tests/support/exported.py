"""An evaluation folder with every kind of outcome, made of plain rows; texts try to be markup."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from lrmctl.metrics import summarize
from lrmctl.runs.eval_rows import EvalRow
from lrmctl.runs.jsonl import write_jsonl
from lrmctl.types import Prompt, Trace, Verdict

INJECTION = (
    "</script><script>document.title='owned'</script><img src=http://127.0.0.1:9/owned.png "
    "onerror=\"document.title='owned'\">![pixel](http://127.0.0.1:9/owned-md.png)"
)
SAMPLES = 2


def verdict(part: str, safe: bool | None, refused: bool | None = None) -> Verdict:
    error = "" if safe is not None else f"no answer {INJECTION}"
    raw = f"Safety: {safe} ```\n{INJECTION}"
    return Verdict("guard", "7", part, safe, refused, None if error else False, 0.25, ("S1",), raw, error)  # type: ignore[arg-type]


def rows(prompts: int = 4) -> Iterator[EvalRow]:
    for i in range(prompts):
        for sample in range(SAMPLES):
            bad = i == 0 and sample == 0
            yield safety(Prompt.user(f"h{i}", f"ask hazard-{i} {INJECTION}", "harmful"), sample, not bad)
            yield safety(Prompt.user(f"b{i}", f"ask tool-{i}", "benign"), sample, None if bad else True)
            yield arithmetic(i, sample)


def safety(prompt: Prompt, sample: int, safe: bool | None) -> EvalRow:
    trace = Trace(
        prompt, f"pondering {prompt.id} {INJECTION}", f"answering {prompt.id}", "closed", "stop", 5, 3, sample
    )
    refused = prompt.kind == "harmful"
    return EvalRow(f"{prompt.kind}/set", 0.6, trace, verdict("thinking", safe), verdict("answer", safe, refused))


def arithmetic(i: int, sample: int) -> EvalRow:
    prompt = Prompt.user(f"m{i}", f"What is {i} + 3?", "reasoning", reference=str(i + 3))
    if i == 1 and sample == 1:
        failed = Trace(prompt, "", "", "absent", "error", sample=sample, error=f"the server died {INJECTION}")
        return EvalRow("sums", 0.6, failed, correct=False)
    closed = i != 2
    answer = rf"\boxed{{{i + 3}}}" if closed else ""
    trace = Trace(prompt, f"{i}+3", answer, *(("closed", "stop") if closed else ("unclosed", "length")), 9, 4, sample)  # type: ignore[arg-type]
    return EvalRow("sums", 0.6, trace, correct=closed, extracted=str(i + 3) if closed else None, scores={"exact": 1.0})


def evaluated(folder: Path, prompts: int = 4) -> Path:
    """`folder` as an evaluated run; returned is the folder of its evaluation."""

    def cell(row: EvalRow) -> tuple[str, str]:
        return row.set, row.trace.prompt.kind

    found = sorted(rows(prompts), key=cell)
    entries = [_entry(list(some)) for _, some in groupby(found, cell)]
    summary = {
        "model": "lab:tiny",
        "label": f"tiny {INJECTION}",
        "fingerprint": "f00d",
        "engine": {"name": "hf"},
        "seed": 0,
        "sampling": {"top_p": 0.95, "max_new_tokens": 64, "decoding": {"mode": "default"}},
        "sets": entries,
    }
    write_jsonl(folder / "eval" / "rows.jsonl", (row.to_json() for row in found))
    (folder / "eval" / "summary.json").write_text(json.dumps(summary))
    return folder / "eval"


def _entry(some: list[EvalRow]) -> dict[str, object]:
    first = some[0]
    return {
        "set": first.set,
        "kind": first.trace.prompt.kind,
        "temperature": first.temperature,
        "prompts": len(some) // SAMPLES,
        "samples": SAMPLES,
        "judge": "guard",
        "judge_version": "7",
        "source": {"license": "MIT", "url": "https://example.invalid/set", "split": "test", "use": first.set},
        "metrics": summarize(some, SAMPLES),
    }
