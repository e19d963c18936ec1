"""Contract checks for plugin authors: call one from a test; it raises `ContractError` or returns."""

from __future__ import annotations

from lrmctl.testing.checks import (
    ContractError,
    check_benchmark,
    check_judge,
    check_lexicon,
    check_reward,
    check_source,
    check_thinking_format,
    sample_traces,
)

__all__ = [
    "ContractError",
    "check_benchmark",
    "check_judge",
    "check_lexicon",
    "check_reward",
    "check_source",
    "check_thinking_format",
    "sample_traces",
]
