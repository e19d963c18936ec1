"""Prompts of judge models, and how their replies are parsed. Pure functions, free of any engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl._util.lazy import lazy_names

if TYPE_CHECKING:
    from lrmctl.judges.templates.base import (
        JudgeTemplate,
        Mode,
        ParsedVerdict,
        after_thought,
        part_text,
        raw_of,
        with_turns,
    )
    from lrmctl.judges.templates.harmbench import HarmBench
    from lrmctl.judges.templates.llama_guard import LlamaGuard
    from lrmctl.judges.templates.prompts import prompt_text
    from lrmctl.judges.templates.qwen3guard import Qwen3Guard
    from lrmctl.judges.templates.reasoning import ReasoningRubric, ReasoningShield
    from lrmctl.judges.templates.response_kind import ResponseKindRubric
    from lrmctl.judges.templates.rubrics import (
        JailbreakBench,
        PolicyRubric,
        RubricWording,
        StrongReject,
        XsTestRefusal,
        hashed,
        read_file,
    )
    from lrmctl.judges.templates.sanitize import defused, fenced, filled
    from lrmctl.judges.templates.shieldgemma import ShieldGemma, guidelines_of
    from lrmctl.judges.templates.wildguard import WildGuard
    from lrmctl.judges.templates.yes_no import YesNo

__all__ = [
    "HarmBench",
    "JailbreakBench",
    "JudgeTemplate",
    "LlamaGuard",
    "Mode",
    "ParsedVerdict",
    "PolicyRubric",
    "Qwen3Guard",
    "ReasoningRubric",
    "ReasoningShield",
    "ResponseKindRubric",
    "RubricWording",
    "ShieldGemma",
    "StrongReject",
    "WildGuard",
    "XsTestRefusal",
    "YesNo",
    "after_thought",
    "defused",
    "fenced",
    "filled",
    "guidelines_of",
    "hashed",
    "part_text",
    "prompt_text",
    "raw_of",
    "read_file",
    "with_turns",
]

__getattr__ = lazy_names(
    __name__,
    {
        "base": (
            "JudgeTemplate",
            "Mode",
            "ParsedVerdict",
            "after_thought",
            "part_text",
            "raw_of",
            "with_turns",
        ),
        "harmbench": ("HarmBench",),
        "llama_guard": ("LlamaGuard",),
        "prompts": ("prompt_text",),
        "qwen3guard": ("Qwen3Guard",),
        "reasoning": ("ReasoningRubric", "ReasoningShield"),
        "response_kind": ("ResponseKindRubric",),
        "rubrics": (
            "JailbreakBench",
            "PolicyRubric",
            "RubricWording",
            "StrongReject",
            "XsTestRefusal",
            "hashed",
            "read_file",
        ),
        "sanitize": (
            "defused",
            "fenced",
            "filled",
        ),
        "shieldgemma": (
            "ShieldGemma",
            "guidelines_of",
        ),
        "wildguard": ("WildGuard",),
        "yes_no": ("YesNo",),
    },
)
