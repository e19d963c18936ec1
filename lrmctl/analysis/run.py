"""The analyses of one evaluated model, written into its run folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl import console
from lrmctl.analysis import parts
from lrmctl.analysis.cells import ALL
from lrmctl.analysis.entropy import Threshold
from lrmctl.analysis.further import findings_of, further_analyses
from lrmctl.analysis.parts import Progress, Subject
from lrmctl.analysis.reflection import reflection
from lrmctl.analysis.traces import trace_rows
from lrmctl.errors import LrmctlError, NotFoundError
from lrmctl.lexicons import get_lexicon
from lrmctl.runs.damage import part_of, read_object
from lrmctl.runs.eval_rows import eval_rows, rows_digest
from lrmctl.runs.folder import write_json
from lrmctl.runs.holding import hold
from lrmctl.runs.trace_table import write_trace_table
from lrmctl.runs.tracking import tell as tell_trackers

if TYPE_CHECKING:
    from lrmctl.analysis.early import EarlyAnswers
    from lrmctl.analysis.segments import JudgedThought
    from lrmctl.analysis.tokens import TraceTokens
    from lrmctl.recipe.schema.analysis import AnalysisSection

__all__ = ["analyze"]


def analyze(
    model: Path | None,
    run_dir: Path,
    section: AnalysisSection,
    *,
    base_dir: Path | None = None,
    base_model: Path | None = None,
    on_progress: Progress | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Write the parts that a section asks for into `analysis/`, each as soon as it is done.

    Args:
        model: checkpoint folder that produced the rows; None leaves out what needs it, or asks `section.engine`.
        run_dir: folder that holds `eval/rows.jsonl`.
        base_dir: folder of the base model's analysis; its 80th percentiles become the thresholds of this one, and its
            unsafe thoughts are those that recovery begins with.
        base_model: checkpoint of the base, which reads the same tokens.
        on_progress: called with (done, total) of each part in turn.
        tell: hears what a part that generates will cost before it begins.

    Returns:
        What was written, by file: `reflection`, and `transitions`, `entropy`, `early`, `recovery` and what
        `section.also` names where they are asked for.

    Raises:
        NotFoundError: nothing was evaluated here, an unknown lexicon or analysis, or a base without entropies.
    """
    source = run_dir / "eval" / "rows.jsonl"
    rows = list(eval_rows(source)) if source.exists() else []
    if not rows:
        raise NotFoundError("there are no evaluated rows to analyse", where=str(source), fix="run `lrmctl eval` first")
    subject = Subject(model, run_dir, rows, section, base_dir, base_model, tell, on_progress)
    with hold(run_dir / "analysis", "analysing"):
        found = _analyze(subject, rows_digest(source))
    tell_trackers(run_dir, "analysed", found, say=console.say)
    return found


def _analyze(subject: Subject, rows_sha256: str) -> dict[str, Any]:
    section = subject.section
    found: dict[str, Any] = {}

    def keep(name: str, data: Mapping[str, Any]) -> None:
        found[name] = {**data, "rows_sha256": rows_sha256}
        write_json(subject.analysis / f"{name}.json", found[name])

    thresholds = _thresholds(subject.base_dir) if subject.base_dir is not None and section.entropy else None
    further = further_analyses(section.also)
    counted = reflection(subject.rows, section.lexicons)
    if section.confirm is not None:
        counted["confirmed"] = parts.confirmed(subject, section.confirm)
    keep("reflection", counted)
    thoughts: Sequence[JudgedThought] = ()
    if section.transitions is not None:
        data, thoughts = parts.transitions(subject)
        keep("transitions", data)
    tokens: Sequence[TraceTokens] = ()
    limits: Mapping[Threshold, float] = {}
    if section.entropy and subject.model is not None:
        data, tokens, limits = parts.entropy(subject, thoughts, thresholds)
        keep("entropy", data)
    elif section.entropy and section.engine is not None:
        keep("entropy", parts.entropy_by_server(subject, section.engine))
    answers: Sequence[EarlyAnswers] = ()
    if section.early is not None:
        data, answers = parts.early(subject, section.early)
        keep("early", data)
    if section.recovery is not None:
        keep("recovery", parts.recovery(subject, section.recovery))
    for one in further:
        told = findings_of(one, subject.rows, subject.base_dir)
        if told["error"]:
            failed = f"the analysis {told['analysis']!r} of {told['distribution']} failed: {told['error']}"
            subject.tell(console.harmless(failed))
        keep(one.file, told)
    lexicons = [get_lexicon(name) for name in section.lexicons]
    rows = trace_rows(subject.rows, lexicons, thoughts, tokens, limits, answers)
    write_trace_table(subject.analysis, rows, rows_sha256)
    return found


def _thresholds(base: Path) -> dict[Threshold, float]:
    path = base / "analysis" / "entropy.json"
    if not path.exists():
        raise NotFoundError("the base model has no entropy analysis", where=str(path), fix="analyse the base first")
    rows, analysed = base / "eval" / "rows.jsonl", read_object(path)
    if rows.exists() and analysed.get("rows_sha256") != rows_digest(rows):
        what = "the base's entropy analysis was made of an evaluation that no longer exists"
        raise LrmctlError(what, where=str(path), fix=f"lrmctl analyze {base}")
    if any("p80" not in cell for cell in analysed.get("cells", ())):
        what = "the base's entropies are bounds, which give no threshold"
        raise LrmctlError(what, where=str(path), fix="analyse the base from its weights, or leave --base out")
    with part_of(path):
        cells = analysed["cells"]
        return {(c["set"], c["kind"], c["temperature"]): float(c["p80"]) for c in cells if c["outcome"] == ALL}
