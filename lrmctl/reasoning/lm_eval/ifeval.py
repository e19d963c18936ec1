"""IFEval with lm-eval's own checkers: a program decides for each instruction whether the answer follows it.

Only the answer segment is checked. The checkers need packages and word data that lm-eval does not install.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from importlib.metadata import version
from typing import Any

from lrmctl.errors import NotFoundError
from lrmctl.reasoning.base import GradedTrace, answered
from lrmctl.types import Prompt, Trace

_PER_PROMPT = ("prompt_level_strict_acc", "prompt_level_loose_acc")
_NEED_WORDS = {"change_case:capital_word_frequency", "length_constraints:number_sentences"}
_PER_INSTRUCTION = ("inst_level_strict_acc", "inst_level_loose_acc")


def checkers_version() -> str:
    """Version of lm-eval, which contains the checkers.

    Raises:
        NotFoundError: they cannot be used here.
    """
    _checkers()
    return version("lm-eval")


@lru_cache(maxsize=1)
def _checkers() -> Any:
    try:
        langdetect = import_module("langdetect")
        aside = io.StringIO()  # it reports downloads
        with contextlib.redirect_stdout(aside), contextlib.redirect_stderr(aside):
            from lm_eval.tasks.ifeval import utils
    except ImportError as error:
        what = f"IFEval's checkers need a package that is not installed: {error.name}"
        raise NotFoundError(what, "task ifeval", "pip install langdetect immutabledict 'nltk>=3.9.1'") from error
    langdetect.DetectorFactory.seed = 0  # it detects languages by sampling
    return utils


def check_word_data(prompts: Sequence[Prompt]) -> Sequence[Prompt]:
    """The prompts, unchanged, after checking before any generation that their checkers have everything they need.

    Raises:
        NotFoundError: nltk's word data is missing and an instruction needs it.
    """
    if _NEED_WORDS & {name for prompt in prompts for name in prompt.meta["instruction_id_list"]}:
        try:
            import_module("nltk").data.find("tokenizers/punkt_tab")
        except LookupError as error:
            what = "instructions of IFEval need nltk's word data, which is not here"
            raise NotFoundError(what, "task ifeval", "python -m nltk.downloader punkt_tab") from error
    return prompts


def grade_instructions(trace: Trace) -> GradedTrace:
    """Correct if every instruction is followed strictly; all scores are 0 without a finished answer.

    Scores: whether all instructions are followed, and the share that is (`inst_level_*`), strictly, and loosely:
    ignoring markdown asterisks, a first or a last line; and the number of `instructions`.
    """
    if trace.finish_reason == "error":
        return GradedTrace(None)
    meta = trace.prompt.meta
    count = float(len(meta["instruction_id_list"]))
    if not answered(trace) or not trace.answer:
        return GradedTrace(
            False, scores={**dict.fromkeys((*_PER_PROMPT, *_PER_INSTRUCTION), 0.0), "instructions": count}
        )
    found = _checkers().process_results({"key": 0, "prompt": trace.prompt.text, **meta}, [trace.answer])
    scores = {name: float(found[name]) for name in _PER_PROMPT}
    shares = {name: sum(found[name]) / count for name in _PER_INSTRUCTION}
    return GradedTrace(bool(found[_PER_PROMPT[0]]), scores={**scores, **shares, "instructions": count})


def totals(graded: Sequence[GradedTrace]) -> dict[str, float]:
    """The published metrics per instruction: every instruction has equal weight, not every prompt."""
    counted = [g.scores for g in graded if g.scores]
    instructions = sum(scores["instructions"] for scores in counted)
    if not instructions:
        return {}
    prompts = {name: sum(s[name] for s in counted) / len(counted) for name in _PER_PROMPT}
    each = {name: sum(s[name] * s["instructions"] for s in counted) / instructions for name in _PER_INSTRUCTION}
    return {**prompts, **each}
