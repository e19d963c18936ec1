"""Registers lrmctl's own analysis of the kind that plugins bring."""

from __future__ import annotations

from lrmctl.hooks.specs import Register, hookimpl


@hookimpl
def lrmctl_analyses(register: Register) -> None:
    register(
        "length",
        "lrmctl.analysis.length:Length",
        summary="thinking tokens: mean, median and 95th percentile by outcome, and times the base's",
    )
