"""Thinking formats of models as data, detection of how a model thinks, and the splitter of completions.

Knows no engine, judge or data set. Other packages hard-code no markers: they take them from a `ThinkingFormat`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl._util.lazy import lazy_names

if TYPE_CHECKING:
    from lrmctl.thinking.find import Override, find_thinking, format_of_override
    from lrmctl.thinking.formats import ThinkingFormat, builtin_formats, default_format, own_format, thinking_format
    from lrmctl.thinking.split import (
        MENTIONED,
        SplitCompletion,
        assuming_format,
        closes_thinking,
        format_of_text,
        opens_thinking,
        split_apart,
        split_ids,
        split_text,
        split_unseen,
    )
    from lrmctl.thinking.state import UNKNOWN, Thinking, switched_off_by_words

__all__ = [
    "MENTIONED",
    "UNKNOWN",
    "Override",
    "SplitCompletion",
    "Thinking",
    "ThinkingFormat",
    "assuming_format",
    "builtin_formats",
    "closes_thinking",
    "default_format",
    "find_thinking",
    "format_of_override",
    "format_of_text",
    "opens_thinking",
    "own_format",
    "split_apart",
    "split_ids",
    "split_text",
    "split_unseen",
    "switched_off_by_words",
    "thinking_format",
]

__getattr__ = lazy_names(
    __name__,
    {
        "find": (
            "Override",
            "find_thinking",
            "format_of_override",
        ),
        "formats": (
            "ThinkingFormat",
            "builtin_formats",
            "default_format",
            "own_format",
            "thinking_format",
        ),
        "split": (
            "MENTIONED",
            "SplitCompletion",
            "assuming_format",
            "closes_thinking",
            "format_of_text",
            "opens_thinking",
            "split_apart",
            "split_ids",
            "split_text",
            "split_unseen",
        ),
        "state": (
            "UNKNOWN",
            "Thinking",
            "switched_off_by_words",
        ),
    },
)
