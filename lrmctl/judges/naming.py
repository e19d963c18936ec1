"""What a judge is called."""

from __future__ import annotations

from lrmctl.hooks.specs import Judge


def judge_name(judge: Judge) -> str:
    """What the judge calls itself; its class if it says nothing."""
    return judge.name or type(judge).__name__
