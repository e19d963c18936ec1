"""Evaluation of one checkpoint: sample, judge, grade, and write rows and a summary with intervals.

    out/eval/completions.sqlite    every completion
    out/eval/rows.jsonl            one `EvalRow` per trace
    out/eval/summary.json          metrics with intervals, per set, kind and temperature

Completions are stored as they finish, so that a killed evaluation continues where it was and a second one only judges
again. Knows no terminal and no study.
"""

from lrmctl.evaluation.rejudge import rejudge
from lrmctl.evaluation.run import evaluate

__all__ = ["evaluate", "rejudge"]
