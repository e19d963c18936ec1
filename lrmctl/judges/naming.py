"""The name of a judge."""

from __future__ import annotations

from lrmctl.hooks.specs import Judge


def judge_name(judge: Judge) -> str:
    """The judge's own name, or its class if it has none."""
    return judge.name or type(judge).__name__
