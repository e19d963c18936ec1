"""A hundred thousand rows are summarised in seconds, in memory that grows by a few hundred bytes a row."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from made_rows import row, verdict

from lrmctl.metrics import summarize
from lrmctl.recipe.schema.evaluation import JudgeAccuracySection
from lrmctl.runs.eval_rows import EvalRow

PROMPTS, SAMPLES = 25_000, 4


def many() -> Iterator[EvalRow]:
    rng = Random(0)
    words = ("safe", "safe", "safe", "unsafe", "malformed")
    made = [
        row("p", thinking=t, answer=a, tokens=(n, 9), also=[verdict(a, judge="strongreject", p_unsafe=n / 2000)])
        for t in words
        for a in words
        for n in range(0, 2000, 100)
    ]
    for i in range(PROMPTS):
        for j in range(SAMPLES):
            kept = rng.choice(made)
            trace = kept.trace
            prompt = type(trace.prompt)(f"p{i}", (), "harmful")
            placed = type(trace)(prompt, "", "", "closed", "stop", trace.thinking_tokens, trace.answer_tokens, j)
            yield EvalRow("set", 0.6, placed, kept.thinking, kept.answer, also=kept.also)


@pytest.mark.e2e
@pytest.mark.timeout(900)
def test_a_hundred_thousand_rows_are_summarised() -> None:
    rows = list(many())
    found = summarize(rows, SAMPLES, JudgeAccuracySection(sensitivity=0.9, specificity=0.95, unsafe=200, safe=200))
    assert found["answer_safe"]["n"] == PROMPTS
    assert found["joint_safe@4"]["n"] == PROMPTS


def test_summarising_needs_no_slow_import() -> None:
    """statsmodels takes two seconds to load and scipy.stats one and a half: more than most summaries."""
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(Path(__file__).parent)], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from made_rows import rows_of
from lrmctl.metrics import summarize
from lrmctl.recipe.schema.evaluation import JudgeAccuracySection
from lrmctl.stats import holm, mcnemar_p, paired_delta, prompts_needed
rows = rows_of([["safe", "unsafe"]] * 9 + [["safe", "safe"]])
summarize(rows, 2, JudgeAccuracySection(sensitivity=0.9, specificity=0.9))
paired_delta(np.arange(40.0), np.arange(40.0) ** 2)
mcnemar_p([True], [False]), holm([0.1]), prompts_needed([1.0])
print([m for m in ("scipy.stats", "statsmodels", "pandas", "torch") if m in sys.modules])
"""
