"""Features of a response that need no model, from 0 to 1: propositions for rule-based rewards.

They detect words, not meaning. A weight fitted on them shows how far words alone go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from lrmctl._util.words import words_of
from lrmctl.judges.templates.base import part_text
from lrmctl.rewards.builtin.format import FormatRules, thinking_in_form
from lrmctl.types import Part, Trace

Feature = Callable[[Trace, Part], float]
LONG = 300
"""Number of words at which `long` reaches 1."""


def _says(*phrases: str) -> Feature:
    """1 if one of the phrases occurs in the text, at word boundaries, case-insensitively."""
    pattern = re.compile("|".join(rf"\b(?:{phrase})\b" for phrase in phrases), re.IGNORECASE)

    def feature(trace: Trace, part: Part) -> float:
        return float(pattern.search(part_text(trace, part).replace("\u2019", "'")) is not None)

    return feature


def _long(trace: Trace, part: Part) -> float:
    return min(1.0, len(words_of(part_text(trace, part))) / LONG)


def _matches(pattern: str) -> Feature:
    compiled = re.compile(pattern, re.MULTILINE)
    return lambda trace, part: float(compiled.search(part_text(trace, part)) is not None)


FEATURES: Mapping[str, Feature] = {
    "apology": _says("sorry", "apologi[sz]e", "apologies", "i regret"),
    "inability": _says(
        r"(?:i|we)\s+(?:can't|cannot|can not|won't|will not|am unable to|'m unable to|must decline|have to decline)",
        r"(?:i|we)\s*'?(?:m|am|are|re)\s+(?:unable|not able|not going)\s+to",
    ),
    "disclaimer": _says("as an ai", "i'm an ai", "language model", "i'm not a (?:doctor|lawyer|professional)"),
    "policy": _says("polic(?:y|ies)", "guidelines?", "terms of (?:use|service)", "programmed to", "designed to"),
    "judgement": _says("unethical", "immoral", "illegal", "inappropriate", "wrong to", "harmful", "not acceptable"),
    "professional_help": _says(
        r"(?:a|an|with|seek\w*|consult\w*)\s+(?:\w+\s+){0,4}(?:professionals?|experts?|therapists?)"
    ),
    "resources": _says("hotlines?", "helplines?", "lifeline", r"\b988\b", r"https?://\S+", r"call \d{3,}"),
    "empathy": _says(
        "i understand", "i hear you", "that must be", "you're not alone", "you are not alone", "difficult time"
    ),
    "offer": _says("how can i help", "let me know", "feel free", "happy to (?:help|assist)", "instead"),
    "asks": _matches(r"\?[ \t]{0,8}(?:$|[\"')])"),
    "steps": _matches(r"^[ \t]{0,16}(?:\d{1,3}[.)]|[-*\u2022]|step[ \t]{1,4}\d{1,3})[ \t]"),
    "code": _matches(r"```"),
    "long": _long,
    "in_form": lambda trace, part: float(FormatRules("optional").holds(trace, part)),
    "thought": lambda trace, _: float(thinking_in_form(trace)),
}
"""Features by name; the name says what a feature detects."""
