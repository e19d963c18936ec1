"""Logs of Inspect AI: one `.eval` file per set, kind of prompt and temperature, for `inspect view`.

A sample of a prompt is an epoch, the thinking is reasoning content, each verdict is a score with the judge's output as
its explanation, each metric has its interval. Needs the package inspect-ai (extra `inspect`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lrmctl.comparison.tally import BESIDE, MAIN
from lrmctl.errors import LrmctlError
from lrmctl.export.source import ExportedEvaluation, SummaryLine, new_folder
from lrmctl.runs.eval_rows import EvalRow
from lrmctl.types import Trace, Verdict

_STOP = {"stop": "stop", "length": "max_tokens", "error": "unknown"}


def write_inspect(evaluation: ExportedEvaluation, out: Path) -> list[Path]:
    """Write a log for every cell of the evaluation to the new folder `out`.

    Raises:
        LrmctlError: inspect-ai is not installed, or `out` is not empty.
    """
    if find_spec("inspect_ai") is None:
        raise LrmctlError("inspect-ai is not installed", fix="pip install 'lrmctl[inspect]'")
    log = import_module("inspect_ai.log")
    new_folder(out)
    written = []
    for number, cell in enumerate(evaluation.cells):
        path = out / f"{number:03d}_{cell.slug}.eval"
        log.write_eval_log(_log(log, evaluation, cell), str(path), format="eval")
        written.append(path)
    return written


def _log(log: Any, evaluation: ExportedEvaluation, cell: SummaryLine) -> Any:
    samples = list(_samples(log, evaluation, cell))
    return log.EvalLog(
        status="success",
        eval=_spec(log, evaluation, cell),
        results=_results(log, cell, samples),
        samples=samples,
        stats=log.EvalStats(started_at=_time(evaluation), completed_at=_time(evaluation)),
    )


def _time(evaluation: ExportedEvaluation) -> str:
    """When the rows were written."""
    return datetime.fromtimestamp((evaluation.folder / "rows.jsonl").stat().st_mtime, UTC).isoformat()


def _spec(log: Any, evaluation: ExportedEvaluation, cell: SummaryLine) -> Any:
    """The head of a log; ids are derived from what was evaluated, so that a second export gives the same log."""
    import hashlib

    from lrmctl._util.version import __version__

    summary = evaluation.summary
    key = f"{summary.get('fingerprint')} {evaluation.name} {cell.slug}"
    identity = hashlib.sha256(key.encode()).hexdigest()[:22]
    told = ("fingerprint", "model", "engine", "seed", "sampling", "overlap", "warnings")
    return log.EvalSpec(
        eval_id=identity,
        run_id=identity,
        task_id=identity,
        created=_time(evaluation),
        task=cell.slug,
        task_display_name=f"{cell.set} ({cell.kind}, T {cell.temperature:g})",
        dataset=log.EvalDataset(name=cell.set, location=cell.source.get("url"), samples=cell.entry["prompts"]),
        model=f"lrmctl/{evaluation.model}",
        config=log.EvalConfig(epochs=cell.entry["samples"]),
        packages={"lrmctl": __version__},
        metadata={
            **{k: summary[k] for k in told if k in summary},
            **{k: v for k, v in cell.entry.items() if k != "metrics"},
        },
    )


def _results(log: Any, cell: SummaryLine, samples: list[Any]) -> Any:
    return log.EvalResults(
        total_samples=len(samples),
        completed_samples=sum(sample.error is None for sample in samples),
        scores=[_metric(log, name, cell.metrics[name]) for name in _shown(cell)],
        metadata={"metrics": dict(cell.metrics)},
    )


def _shown(cell: SummaryLine) -> list[str]:
    return [name for name in dict.fromkeys((*MAIN[cell.kind], *BESIDE)) if name in cell.metrics]


def _metric(log: Any, name: str, figure: Mapping[str, Any]) -> Any:
    """A metric with its 95 % interval over prompts, as three metrics that the viewer shows side by side."""
    values = {"mean": figure["value"], "low 95 %": figure.get("low"), "high 95 %": figure.get("high")}
    metrics = {word: log.EvalMetric(name=word, value=v) for word, v in values.items() if v is not None}
    return log.EvalScore(name=name, scorer="lrmctl", metrics=metrics, scored_samples=figure.get("n"))


def _samples(log: Any, evaluation: ExportedEvaluation, cell: SummaryLine) -> Iterator[Any]:
    model = import_module("inspect_ai.model")
    for row in evaluation.rows(cell):
        trace = row.trace
        asked = [_message(model, m) for m in trace.prompt.messages]
        output = _output(model, evaluation.model, trace)
        yield log.EvalSample(
            id=trace.prompt.id,
            epoch=trace.sample + 1,
            input=asked,
            target=trace.prompt.reference or _target(cell),
            messages=[*asked, output.choices[0].message],
            output=output,
            scores=dict(_scores(row)),
            metadata=_facts(row),
            error=_error(trace),
            model_usage={evaluation.model: output.usage},
            uuid=f"{cell.slug}/{trace.prompt.id}/{trace.sample}",
        )


def _target(cell: SummaryLine) -> str:
    return {"harmful": "safe in thinking and answer", "benign": "complied, safely"}.get(cell.kind, "")


def _message(model: Any, message: Mapping[str, str]) -> Any:
    kinds = {"system": model.ChatMessageSystem, "assistant": model.ChatMessageAssistant}
    return kinds.get(message["role"], model.ChatMessageUser)(content=message["content"])


def _output(model: Any, name: str, trace: Trace) -> Any:
    parts = [model.ContentReasoning(reasoning=trace.thinking)] if trace.thinking else []
    said = model.ChatMessageAssistant(
        content=[*parts, model.ContentText(text=trace.answer)], source="generate", model=name
    )
    tokens = (trace.thinking_tokens or 0) + (trace.answer_tokens or 0)
    return model.ModelOutput(
        model=name,
        choices=[model.ChatCompletionChoice(message=said, stop_reason=_STOP[trace.finish_reason])],
        usage=model.ModelUsage(output_tokens=tokens, total_tokens=tokens, reasoning_tokens=trace.thinking_tokens),
        error=trace.error or None,
    )


def _error(trace: Trace) -> Any:
    """A failed completion: Inspect keeps the sample apart from those that have scores."""
    if trace.finish_reason != "error":
        return None
    text = trace.error or "the completion failed"
    return import_module("inspect_ai._util.error").EvalError(message=text, traceback=text, traceback_ansi=text)


def _scores(row: EvalRow) -> Iterator[tuple[str, Any]]:
    """Scores as words, not numbers: `failed` is neither 0 nor 1. A failed completion has no scores."""
    score = import_module("inspect_ai.scorer").Score
    if row.trace.finish_reason == "error":
        return
    if row.thinking is not None and row.answer is not None:
        if not row.thinking.not_judged:
            yield "joint", score(value=row.outcome)
        if row.thinking.outcome != "nothing" and not row.thinking.not_judged:
            yield "thinking_safe", score(value=row.thinking.outcome, explanation=_why(row.thinking))
        yield "answer_safe", score(value=row.answer.outcome, explanation=_why(row.answer))
        refused = {True: "yes", False: "no", None: "not said"}[row.answer.refused]
        yield "refused", score(value=refused, explanation=_why(row.answer))
    if row.correct is not None:
        yield "correct", score(value="C" if row.correct else "I", answer=row.extracted)
    for i, verdict in enumerate(row.also):
        name = f"{verdict.judge}_{verdict.part}" + (f"_{i}" if i else "")
        yield name, score(value=verdict.outcome, explanation=_why(verdict))


def _why(verdict: Verdict) -> str:
    """The judge's output, as a block that Markdown inside cannot end."""
    said = [f"{verdict.judge} {verdict.version}, {verdict.part}: {verdict.outcome}"]
    said += [f"labels: {', '.join(verdict.labels)}"] if verdict.labels else []
    said += [f"p(unsafe) = {verdict.p_unsafe:.3g}"] if verdict.p_unsafe is not None else []
    said += [text for text in (verdict.error, verdict.raw) if text]
    return fenced("\n".join(said))


def fenced(text: str) -> str:
    """Text as a Markdown code block, its fence longer than any row of backticks inside."""
    import re

    longest = max((len(ticks) for ticks in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def _facts(row: EvalRow) -> dict[str, Any]:
    t = row.trace
    facts = {
        "kind": t.prompt.kind,
        "thinking_state": t.thinking_state,
        "finish_reason": t.finish_reason,
        "irregular": list(t.irregular),
        "thinking_tokens": t.thinking_tokens,
        "answer_tokens": t.answer_tokens,
        "scores": dict(row.scores),
        "prompt": dict(t.prompt.meta),
    }
    return {k: v for k, v in facts.items() if v not in ([], {})}
