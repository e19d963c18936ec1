"""Registers the built-in judges."""

from __future__ import annotations

from lrmctl.hooks.specs import Register, hookimpl
from lrmctl.judges.rules import RefusalPhrases


@hookimpl
def lrmctl_judges(register: Register) -> None:
    register("refusal-phrases", RefusalPhrases, summary="smoke tests only: looks for refusal phrases in the answer")
