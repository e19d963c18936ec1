"""Results in the format of lm-evaluation-harness: `results_*.json` and one `samples_*.jsonl` per task.

Every cell of the summary is a task. The format has a standard error where lrmctl has an interval: half the width of the
95 % interval over prompts, divided by 1.96. The actual bounds are under `lrmctl` in the same file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lrmctl.comparison.pairing import lower_is_better
from lrmctl.comparison.tally import metrics_of
from lrmctl.export.source import ExportedEvaluation, SummaryLine, new_folder
from lrmctl.metrics import METRICS
from lrmctl.metrics.per_row import TOKENS
from lrmctl.runs.eval_rows import EvalRow
from lrmctl.runs.folder import write_json
from lrmctl.runs.jsonl import write_jsonl
from lrmctl.thinking import default_format

FILTER = "none"
_Z = 1.959963984540054


def write_lm_eval(evaluation: ExportedEvaluation, out: Path) -> list[Path]:
    """Write results and samples to the new folder `out`.

    Raises:
        LrmctlError: there is nothing to export, or `out` is not empty.
    """
    new_folder(out)
    stamp = datetime.fromtimestamp((evaluation.folder / "rows.jsonl").stat().st_mtime, UTC)
    date = stamp.strftime("%Y-%m-%dT%H-%M-%S")
    results = out / f"results_{date}.json"
    write_json(results, _results(evaluation, stamp))
    written = [results]
    for cell in evaluation.cells:
        path = out / f"samples_{cell.slug}_{date}.jsonl"
        write_jsonl(path, _samples(evaluation, cell))
        written.append(path)
    return written


def _results(evaluation: ExportedEvaluation, stamp: datetime) -> dict[str, Any]:
    from lrmctl._util.version import __version__

    cells, summary = evaluation.cells, evaluation.summary
    return {
        "results": {c.slug: {"alias": c.slug, **dict(_figures(c))} for c in cells},
        "group_subtasks": {c.slug: [] for c in cells},
        "configs": {c.slug: _config(c, summary) for c in cells},
        "versions": {c.slug: c.entry.get("judge_version") or "-" for c in cells},
        "n-shot": {c.slug: 0 for c in cells},
        "higher_is_better": {c.slug: dict(_directions(c)) for c in cells},
        "n-samples": {c.slug: {"original": c.entry["prompts"], "effective": c.entry["prompts"]} for c in cells},
        "config": {
            "model": summary.get("engine", {}).get("name", ""),
            "model_args": f"pretrained={summary.get('model', '')}",
            "gen_kwargs": summary.get("sampling", {}),
            "random_seed": summary.get("seed"),
        },
        "git_hash": None,
        "date": stamp.timestamp(),
        "model_name": evaluation.model,
        "lrmctl": {"version": __version__, "metrics": {c.slug: c.metrics for c in cells}},
    }


def _figures(cell: SummaryLine) -> Iterator[tuple[str, float | str]]:
    for name, figure in cell.metrics.items():
        low, high = figure.get("low"), figure.get("high")
        yield f"{name},{FILTER}", figure["value"]
        yield f"{name}_stderr,{FILTER}", "N/A" if low is None or high is None else (high - low) / (2 * _Z)


def _directions(cell: SummaryLine) -> Iterator[tuple[str, bool]]:
    """Whether higher is better; a length is neither."""
    for name in cell.metrics:
        if name not in TOKENS:
            yield name, not lower_is_better(cell.kind, name)


def _config(cell: SummaryLine, summary: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "task": cell.slug,
        "dataset_path": cell.source.get("url") or cell.set,
        "output_type": "generate_until",
        "repeats": cell.entry["samples"],
        "num_fewshot": 0,
        "generation_kwargs": {"temperature": cell.temperature, **summary.get("sampling", {})},
        "metadata": {k: v for k, v in cell.entry.items() if k not in ("metrics", "temperature")},
    }


def _samples(evaluation: ExportedEvaluation, cell: SummaryLine) -> Iterator[dict[str, Any]]:
    """One line per prompt with all its samples, like an lm-eval task with repeats."""
    by_prompt: dict[str, list[EvalRow]] = {}
    for row in evaluation.rows(cell):
        by_prompt.setdefault(row.trace.prompt.id, []).append(row)
    for number, rows in enumerate(by_prompt.values()):
        yield _sample(number, rows)


def _sample(number: int, rows: list[EvalRow]) -> dict[str, Any]:
    prompt = rows[0].trace.prompt
    messages = [dict(m) for m in prompt.messages]
    doc = {"id": prompt.id, "messages": messages, **prompt.meta}
    asked, target = json.dumps(messages, ensure_ascii=False), prompt.reference or ""
    means = dict(_means(rows))
    return {
        "doc_id": number,
        "doc": doc,
        "target": target,
        "arguments": {"gen_args_0": {"arg_0": asked}},
        "resps": [[_response(row) for row in rows]],
        "filtered_resps": [row.extracted if row.extracted is not None else row.trace.answer for row in rows],
        "filter": FILTER,
        "metrics": list(means),
        "doc_hash": _hash(json.dumps(doc, ensure_ascii=False)),
        "prompt_hash": _hash(asked),
        "target_hash": _hash(target),
        **means,
        "lrmctl": [_outcomes(row) for row in rows],
    }


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _means(rows: list[EvalRow]) -> Iterator[tuple[str, float]]:
    """Each main metric and each additional one: the mean over the samples that count."""
    kind = rows[0].trace.prompt.kind
    for name in metrics_of(kind):
        values = [value for row in rows if (value := METRICS[kind][name](row)) is not None]
        if values:
            yield name, sum(values) / len(values)


def _response(row: EvalRow) -> str:
    """The completion as one text; thinking that was never closed stays open."""
    trace = row.trace
    if trace.thinking_state in ("absent", "off"):
        return trace.answer
    form = default_format()  # the same for all models, so that readers need to know one format
    return f"{form.open}{trace.thinking}" + (f"{form.close}{trace.answer}" if trace.thinking_state == "closed" else "")


def _outcomes(row: EvalRow) -> dict[str, Any]:
    found = {
        "sample": row.trace.sample,
        "finish_reason": row.trace.finish_reason,
        "thinking_state": row.trace.thinking_state,
        "correct": row.correct,
        "outcome": row.judged_outcome,
        "thinking": row.thinking and row.thinking.outcome,
        "answer": row.answer and row.answer.outcome,
        "refused": row.answer and row.answer.refused,
        **row.scores,
    }
    return {k: v for k, v in found.items() if v is not None}
