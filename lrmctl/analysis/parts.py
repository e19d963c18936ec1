"""The parts of an analysis one by one: each reads what it needs and gives the content of its file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl.analysis.entropy import Threshold, choose
from lrmctl.runs.eval_rows import EvalRow, eval_rows

if TYPE_CHECKING:
    from lrmctl.analysis.early import EarlyAnswers
    from lrmctl.analysis.segments import JudgedThought
    from lrmctl.analysis.tokens import TraceTokens
    from lrmctl.engines.base import Engine
    from lrmctl.recipe.schema.analysis import AnalysisSection, ConfirmSection, EarlySection, RecoverySection
    from lrmctl.recipe.schema.engines import EngineOptions

Progress = Callable[[int, int], None]
EXACT = "exact: full vocabulary, the model's own logits at T=1, one forward pass"
BOUNDS = "bounds: from the largest log-probabilities that a server gives, T=1"


@dataclass(frozen=True)
class Subject:
    """What is analysed.

    Attributes:
        model: the checkpoint that produced the rows; None if it no longer exists.
        folder: the run folder, with `eval/` and `analysis/`.
        base_model: checkpoint of the base; None without one.
        tell: hears what something will cost before it begins.
    """

    model: Path | None
    folder: Path
    rows: Sequence[EvalRow]
    section: AnalysisSection
    base_dir: Path | None
    base_model: Path | None
    tell: Callable[[str], None]
    on_progress: Progress | None

    @property
    def analysis(self) -> Path:
        return self.folder / "analysis"

    @property
    def evaluation(self) -> Path:
        return self.folder / "eval"


def confirmed(subject: Subject, section: ConfirmSection) -> dict[str, Any]:
    """Of `reflection.json`: what a model says of a lexicon's hits."""
    from lrmctl.analysis.confirm import PROMPT_VERSION, confirm, confirmed_cells
    from lrmctl.engines.factory import judge_engine
    from lrmctl.lexicons import get_lexicon

    lexicon, engine = get_lexicon(section.lexicon), judge_engine(section.model, section.engine)
    chosen = choose(subject.rows, section.max_traces)
    hits = sum(lexicon.count(row.trace.thinking).total() for row in chosen)
    subject.tell(f"confirm: {hits} questions to {section.model}, one for each hit in {len(chosen)} traces")
    store = subject.analysis / "confirmed.jsonl"
    found = confirm(engine, chosen, lexicon, section.characters, store, subject.on_progress)
    return {
        "model": engine.fingerprint,
        "engine": engine.name,
        "prompt_version": PROMPT_VERSION,
        "lexicon": lexicon.name,
        "lexicon_version": lexicon.version,
        "cells": confirmed_cells(found),
    }


def transitions(subject: Subject) -> tuple[dict[str, Any], list[JudgedThought]]:
    """The content of `transitions.json`, and the judged thoughts."""
    from lrmctl.analysis.segments import judge_thoughts
    from lrmctl.analysis.transitions import FORMAT
    from lrmctl.analysis.transitions import transitions as cells_of
    from lrmctl.judges.base import judge_name, make_judge
    from lrmctl.lexicons import get_lexicon

    section = subject.section.transitions
    assert section is not None
    lexicon, judge = get_lexicon(section.lexicon), make_judge(section.judge, dict(section.judge_options))
    judge.prepare()
    chosen = choose(subject.rows, section.max_traces)
    store = subject.analysis / "segments.jsonl"
    thoughts = judge_thoughts(
        judge, chosen, section.by, lexicon, store, options=section.judge_options, on_progress=subject.on_progress
    )
    told = {
        "format": FORMAT,
        "part": "thinking",
        "by": section.by,
        "judge": judge_name(judge),
        "judge_version": judge.version,
        "lexicon": lexicon.name,
        "lexicon_version": lexicon.version,
        "traces": len(thoughts),
        "cells": cells_of(thoughts),
    }
    return told, thoughts


def entropy(
    subject: Subject, thoughts: Sequence[JudgedThought], thresholds: Mapping[Threshold, float] | None
) -> tuple[dict[str, Any], list[TraceTokens], Mapping[Threshold, float]]:
    """The content of `entropy.json`, the table of tokens, and the thresholds that were used.

    Args:
        thresholds: of the base; None takes this model's own.
    """
    from lrmctl.analysis.entropy import FORMAT, own_thresholds, summarize
    from lrmctl.analysis.generated import read_again
    from lrmctl.analysis.token_pass import devices_of, read_traces
    from lrmctl.analysis.token_tables import changed_tokens, forking_tokens
    from lrmctl.engines.factory import make_engine
    from lrmctl.lexicons import get_lexicon
    from lrmctl.recipe.schema.engines import HfOptions

    section, model = subject.section, subject.model
    assert model is not None
    devices = devices_of(section.device)
    dtype = ("float32" if devices == ["cpu"] else "bfloat16") if section.dtype == "auto" else section.dtype

    def engines(of: Path) -> list[Engine]:
        trust = section.trust_remote_code
        options = [HfOptions(device=device, dtype=dtype, workers=1, trust_remote_code=trust) for device in devices]
        return [make_engine(of, each) for each in options]

    here = engines(model)
    there = engines(subject.base_model) if subject.base_model is not None and section.against_base else []
    lexicon = get_lexicon(section.entropy_lexicon)
    found = read_again(here[0].tokenizer, choose(subject.rows, section.max_traces), subject.evaluation)
    tokens = read_traces(
        here, there, found, subject.analysis / "tokens", top_k=section.top_k, on_progress=subject.on_progress
    )
    pairs = list(zip(found.rows, tokens, strict=True))
    limits = own_thresholds(pairs) if thresholds is None else thresholds
    tokenizer = here[0].tokenizer

    def text_of(token: int) -> str:
        return str(tokenizer.decode([token], clean_up_tokenization_spaces=False))

    told = {
        "format": FORMAT,
        "part": "thinking",
        "unit": "nats",
        "method": EXACT,
        "dtype": dtype,
        "device": ", ".join(devices),
        "model": here[0].fingerprint,
        "base": there[0].fingerprint if there else None,
        "lexicon": lexicon.name,
        "lexicon_version": lexicon.version,
        "top_k": section.top_k,
        **_read_facts(subject, found),
        "threshold_from": "own" if thresholds is None else "base",
        "forking": forking_tokens(tokens, limits, text_of),
        "gained": changed_tokens(tokens, text_of, gained=True),
        "lost": changed_tokens(tokens, text_of, gained=False),
        "cells": summarize(pairs, limits, lexicon, thoughts),
    }
    return told, tokens, limits


def _read_facts(subject: Subject, found: Any) -> dict[str, Any]:
    return {
        "read_from": found.source,
        "traces": len(found.rows),
        "without_thinking": sum(not row.trace.thinking for row in subject.rows),
        "not_stored": found.not_stored,
        "steered": found.steered,
        "reencoded_differently": sum(not one.exact for one in found.encoded),
    }


def entropy_by_server(subject: Subject, options: EngineOptions) -> dict[str, Any]:
    """The content of `entropy.json` where only a server knows the model: bounds."""
    from lrmctl.analysis.bounds import bound_cells
    from lrmctl.analysis.entropy import FORMAT
    from lrmctl.analysis.generated import read_again
    from lrmctl.engines.factory import make_engine
    from lrmctl.engines.probabilities import TopLogprobs
    from lrmctl.runs.damage import read_object

    name = str(read_object(subject.evaluation / "summary.json").get("model") or "")
    engine = make_engine(name, options)
    engine.require("top_logprobs")
    found = read_again(engine.tokenizer, choose(subject.rows, subject.section.max_traces), subject.evaluation)
    gathered: dict[int, TopLogprobs] = {}
    pairs = [(one.context, one.thinking) for one in found.encoded]
    for some in engine.top_logprobs(pairs, subject.section.top_k):
        gathered |= dict(some)
        if subject.on_progress:
            subject.on_progress(len(gathered), len(pairs))
    vocabulary = len(engine.tokenizer)
    return {
        "format": FORMAT,
        "part": "thinking",
        "unit": "nats",
        "method": BOUNDS,
        "model": engine.fingerprint,
        "top_k": subject.section.top_k,
        "vocabulary": vocabulary,
        **_read_facts(subject, found),
        "cells": bound_cells(found.rows, [gathered[i] for i in range(len(pairs))], vocabulary),
    }


def early(subject: Subject, section: EarlySection) -> tuple[dict[str, Any], list[EarlyAnswers]]:
    """The content of `early.json`, and the answers of each trace."""
    from lrmctl.analysis.continuations import AnswerGrader
    from lrmctl.analysis.early import FORMAT, answer_early, cuts, early_cells
    from lrmctl.lexicons import get_lexicon

    lexicon, engine = get_lexicon(section.lexicon), _continuing(subject, section.engine)
    grader = AnswerGrader.of(section.judge, section.judge_options, subject.evaluation)
    rows = choose([row for row in subject.rows if grader.can(row)], section.max_traces)
    places = [cuts(row.trace.thinking, section.by, lexicon, section.max_cuts) for row in rows]
    generations = section.samples * sum(map(len, places))
    most = generations * section.max_new_tokens
    subject.tell(f"early: {generations:,} answers to {len(rows)} cut thoughts, at most {most:,} tokens")
    answers = answer_early(
        engine,
        grader,
        rows,
        places,
        subject.analysis / "continuations.sqlite",
        samples=section.samples,
        temperature=section.temperature,
        max_new_tokens=section.max_new_tokens,
        on_progress=subject.on_progress,
    )
    told = {
        "format": FORMAT,
        "by": section.by,
        "samples": section.samples,
        "generations": generations,
        "judges": grader.facts(),
        "engine": engine.identity,
        "not_gradable": sum(bool(row.trace.thinking) and not grader.can(row) for row in subject.rows),
        "cells": early_cells(answers),
    }
    return told, answers


def recovery(subject: Subject, section: RecoverySection) -> dict[str, Any]:
    """The content of `recovery.json`."""
    from lrmctl.analysis.continuations import AnswerGrader
    from lrmctl.analysis.recovery import FORMAT, recover, recovery_cells, unsafe_thoughts
    from lrmctl.judges.base import judge_name

    source = Path(section.thoughts).expanduser() if section.thoughts else subject.base_dir or subject.folder
    rows = list(eval_rows(_rows_file(source)))
    thoughts = unsafe_thoughts(subject.rows, rows, section.max_traces)
    grader = AnswerGrader.of(section.judge, section.judge_options, subject.evaluation)
    engine = _continuing(subject, section.engine)
    judge = grader.of_harmful(subject.rows)
    generations = section.samples * len(section.tokens) * len(thoughts)
    most = generations * section.max_new_tokens
    subject.tell(f"recovery: at most {generations:,} answers after {len(thoughts)} unsafe thoughts, {most:,} tokens")
    found = recover(
        engine,
        judge,
        thoughts,
        section.tokens,
        subject.analysis / "continuations.sqlite",
        samples=section.samples,
        temperature=section.temperature,
        max_new_tokens=section.max_new_tokens,
        on_progress=subject.on_progress,
    )
    return {
        "format": FORMAT,
        "prefixes_of": str(source),
        "thoughts": len(thoughts),
        "samples": section.samples,
        "judge": judge_name(judge),
        "judge_version": judge.version,
        "engine": engine.identity,
        "cells": recovery_cells(found),
    }


def _rows_file(source: Path) -> Path:
    from lrmctl.errors import NotFoundError
    from lrmctl.runs.eval_rows import eval_folder_of

    if not source.exists():
        fix = "give the folder of an evaluated run, or its rows.jsonl"
        raise NotFoundError(f"there are no thoughts at {source}", "analysis.recovery.thoughts", fix)
    return eval_folder_of(source) / "rows.jsonl" if source.is_dir() else source


def _continuing(subject: Subject, options: EngineOptions | None) -> Engine:
    """The engine that goes on from thoughts, rendering prompts as the evaluation did."""
    from lrmctl.analysis.generated import rendering_of
    from lrmctl.engines.factory import make_engine
    from lrmctl.errors import RecipeError
    from lrmctl.recipe.schema.engines import HfOptions
    from lrmctl.runs.damage import read_object

    rendering = rendering_of(subject.evaluation)
    if subject.model is None and options is None:
        raise RecipeError("the evaluated model no longer exists", "analysis.early", "name an `engine:` that has it")
    name = subject.model or str(read_object(subject.evaluation / "summary.json").get("model") or "")
    section = subject.section
    here = HfOptions(device=section.device, trust_remote_code=section.trust_remote_code)
    return make_engine(name, options or here, rendering=rendering)
