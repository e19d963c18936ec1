"""The analyses of one evaluated model, written into its run folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl.analysis.cells import ALL
from lrmctl.analysis.reflection import reflection
from lrmctl.errors import LrmctlError, NotFoundError
from lrmctl.runs.damage import part_of, read_object
from lrmctl.runs.eval_rows import EvalRow, eval_rows, rows_digest
from lrmctl.runs.folder import write_json
from lrmctl.runs.holding import hold

if TYPE_CHECKING:
    from lrmctl.recipe.schema.recipes import AnalysisSection, TransitionsSection

Progress = Callable[[int, int], None]


def analyze(
    model: Path | None,
    run_dir: Path,
    section: AnalysisSection,
    *,
    base_dir: Path | None = None,
    on_progress: Progress | None = None,
) -> dict[str, Any]:
    """Write `analysis/reflection.json`, and `entropy.json` and `transitions.json` where they are asked for.

    Args:
        model: checkpoint folder that produced the rows; None leaves the entropy out.
        run_dir: folder that holds `eval/rows.jsonl`.
        base_dir: folder of the base model's analysis; its 80th percentiles become the thresholds of this one.
        on_progress: called with (done, total) traces, of the transitions and then of the entropy pass.

    Returns:
        `{"reflection": ..., "transitions": ..., "entropy": ...}` as written; without what was not asked for.

    Raises:
        NotFoundError: nothing was evaluated here, an unknown lexicon, or a base without entropies.
    """
    source = run_dir / "eval" / "rows.jsonl"
    rows = list(eval_rows(source)) if source.exists() else []
    if not rows:
        raise NotFoundError("there are no evaluated rows to analyse", where=str(source), fix="run `lrmctl eval` first")
    with hold(run_dir / "analysis", "analysing"):
        return _analyze(model, run_dir, rows, section, base_dir, on_progress)


def _analyze(
    model: Path | None,
    run_dir: Path,
    rows: Sequence[EvalRow],
    section: AnalysisSection,
    base_dir: Path | None,
    on_progress: Progress | None,
) -> dict[str, Any]:
    made_of = {"rows_sha256": rows_digest(run_dir / "eval" / "rows.jsonl")}
    found = {"reflection": {**reflection(rows, section.lexicons), **made_of}}
    if section.transitions is not None:
        found["transitions"] = {**_transitions(rows, run_dir, section.transitions, on_progress), **made_of}
    if section.entropy and model is not None:
        thresholds = _thresholds(base_dir) if base_dir is not None else None
        entropies = _entropy(model, rows, run_dir / "eval", section, thresholds, on_progress)
        found["entropy"] = {**entropies, **made_of}
    for name, data in found.items():
        write_json(run_dir / "analysis" / f"{name}.json", data)
    return found


def _transitions(
    rows: Sequence[EvalRow], run_dir: Path, section: TransitionsSection, on_progress: Progress | None
) -> dict[str, Any]:
    from lrmctl.analysis.entropy import choose
    from lrmctl.analysis.segments import judge_thoughts
    from lrmctl.analysis.transitions import FORMAT, transitions
    from lrmctl.judges.base import judge_name, make_judge
    from lrmctl.lexicons import get_lexicon

    lexicon, judge = get_lexicon(section.lexicon), make_judge(section.judge, dict(section.judge_options))
    judge.prepare()
    chosen = choose(rows, section.max_traces)
    store = run_dir / "analysis" / "segments.jsonl"
    thoughts = judge_thoughts(
        judge, chosen, section.by, lexicon, store, options=section.judge_options, on_progress=on_progress
    )
    return {
        "format": FORMAT,
        "part": "thinking",
        "by": section.by,
        "judge": judge_name(judge),
        "judge_version": judge.version,
        "lexicon": lexicon.name,
        "lexicon_version": lexicon.version,
        "traces": len(thoughts),
        "cells": transitions(thoughts),
    }


def _entropy(
    model: Path,
    rows: Sequence[EvalRow],
    folder: Path,
    section: AnalysisSection,
    thresholds: dict[tuple[str, str, float], float] | None,
    on_progress: Progress | None,
) -> dict[str, Any]:
    from lrmctl.analysis.entropy import FORMAT, choose, summarize
    from lrmctl.analysis.generated import read_again
    from lrmctl.engines.factory import make_engine
    from lrmctl.recipe.schema.engines import HfOptions

    device, dtype = _where(section)
    engine = make_engine(model, HfOptions(device=device, dtype=dtype))
    found = read_again(engine.tokenizer, choose(rows, section.max_traces), folder)
    entropies = engine.token_entropies([(e.context, e.thinking) for e in found.encoded], on_progress)
    return {
        "format": FORMAT,
        "part": "thinking",
        "unit": "nats",
        "method": "exact: full vocabulary, the model's own logits at T=1, one forward pass",
        "dtype": dtype,
        "device": device,
        "model": engine.fingerprint,
        "read_from": found.source,
        "traces": len(found.rows),
        "without_thinking": sum(not row.trace.thinking for row in rows),
        "not_stored": found.not_stored,
        "steered": found.steered,
        "reencoded_differently": sum(not e.exact for e in found.encoded),
        "threshold_from": "own" if thresholds is None else "base",
        "cells": summarize(found.rows, entropies, thresholds),
    }


def _where(section: AnalysisSection) -> tuple[str, str]:
    """Device and dtype of the forward pass.

    Raises:
        LrmctlError: there is no such device.
    """
    import torch

    there = torch.cuda.is_available()
    device = ("cuda" if there else "cpu") if section.device == "auto" else section.device
    if device.startswith("cuda") and not there:
        raise LrmctlError("torch sees no GPU", "analysis.device", "say `cpu` or `auto`")
    return device, ("float32" if device == "cpu" else "bfloat16") if section.dtype == "auto" else section.dtype


def _thresholds(base: Path) -> dict[tuple[str, str, float], float]:
    path = base / "analysis" / "entropy.json"
    if not path.exists():
        raise NotFoundError("the base model has no entropy analysis", where=str(path), fix="analyse the base first")
    rows, analysed = base / "eval" / "rows.jsonl", read_object(path)
    if rows.exists() and analysed.get("rows_sha256") != rows_digest(rows):
        what = "the base's entropy analysis was made of an evaluation that is not there any more"
        raise LrmctlError(what, where=str(path), fix=f"lrmctl analyze {base}")
    with part_of(path):
        cells = analysed["cells"]
        return {(c["set"], c["kind"], c["temperature"]): float(c["p80"]) for c in cells if c["outcome"] == ALL}
