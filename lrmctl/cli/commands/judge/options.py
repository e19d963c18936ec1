"""Words that options of `lrmctl judge` take."""

from __future__ import annotations

from enum import StrEnum


class Parts(StrEnum):
    """The part that is judged."""

    THINKING = "thinking"
    ANSWER = "answer"
    WHOLE = "whole"
    BOTH = "both"
    SEGMENTS = "segments"


class TextParts(StrEnum):
    """The part that a judge is fitted on."""

    THINKING = "thinking"
    ANSWER = "answer"
    WHOLE = "whole"


class Measured(StrEnum):
    """What the labels of `judge measure` are about."""

    REFUSED = "refused"
    UNSAFE = "unsafe"
    WORD = "word"


class Abouts(StrEnum):
    """What the labels are about."""

    REFUSED = "refused"
    UNSAFE = "unsafe"
