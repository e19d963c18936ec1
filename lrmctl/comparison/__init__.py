"""Evaluations of the same prompts side by side: paired differences with intervals and tests.

Each prompt is its own control, which is worth many times the prompts of an unpaired test. Hence the refusals: nothing
is paired unless both sides saw the same prompts, as often, sampled and judged in the same way, or the user says that
the difference is what they want to see. Reads the folders of evaluations; knows nothing of how they were made.
"""

from __future__ import annotations

from lrmctl.comparison.across import AcrossCells, AcrossDelta, BaseDelta, compare_across
from lrmctl.comparison.comparison import ComparedEvaluation, Comparison, Diagnostics, compare, compare_all
from lrmctl.comparison.flips import Flip, flips
from lrmctl.comparison.pairing import ALLOWED, Delta, main_deltas, main_metric, main_places, pair
from lrmctl.comparison.questions import Question, answer_questions, by_question, is_held_out
from lrmctl.comparison.settings import SettingDifference, differences
from lrmctl.comparison.tally import MAIN, Evaluated, PromptScores, SliceKey, tally

__all__ = [
    "ALLOWED",
    "MAIN",
    "AcrossCells",
    "AcrossDelta",
    "BaseDelta",
    "ComparedEvaluation",
    "Comparison",
    "Delta",
    "Diagnostics",
    "Evaluated",
    "Flip",
    "PromptScores",
    "Question",
    "SettingDifference",
    "SliceKey",
    "answer_questions",
    "by_question",
    "compare",
    "compare_across",
    "compare_all",
    "differences",
    "flips",
    "is_held_out",
    "main_deltas",
    "main_metric",
    "main_places",
    "pair",
    "tally",
]
