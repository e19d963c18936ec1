"""Inspect Evals in lrmctl: the prompts of its tasks as benchmarks, and its StrongREJECT grader as a judge.

Prompts, the grader's question and the reading of its reply come from the installed package inspect-evals; nothing of
it is copied here. Listing names imports neither it nor Inspect.
"""

from __future__ import annotations

from lrmctl import hookimpl
from lrmctl.hooks import Register

lrmctl_api = 1


@hookimpl
def lrmctl_benchmarks(register: Register) -> None:
    register(
        "inspect-task",
        "lrmctl_inspect_evals.benchmark:InspectTask",
        summary="the prompts of a task of Inspect Evals, or of one of yours",
    )


@hookimpl
def lrmctl_judges(register: Register) -> None:
    register(
        "inspect-strong-reject",
        "lrmctl_inspect_evals.judge:InspectStrongReject",
        summary="StrongREJECT's own rubric by any model that Inspect reaches; harmful prompts only",
    )
