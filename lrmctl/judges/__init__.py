"""Judges: verdicts on the thinking and the answer of a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl._util.lazy import lazy_names

if TYPE_CHECKING:
    from lrmctl.judges.base import judge_name, judge_part, judge_parts, make_judge
    from lrmctl.judges.model_judge import ModelJudge
    from lrmctl.judges.query import JudgeQuery, JudgeReply, ask
    from lrmctl.judges.scopes import judge_on
    from lrmctl.judges.spec import JudgeSpec, named_judges
    from lrmctl.judges.templates.base import JudgeTemplate, ParsedVerdict

__all__ = [
    "JudgeQuery",
    "JudgeReply",
    "JudgeSpec",
    "JudgeTemplate",
    "ModelJudge",
    "ParsedVerdict",
    "ask",
    "judge_name",
    "judge_on",
    "judge_part",
    "judge_parts",
    "make_judge",
    "named_judges",
]

__getattr__ = lazy_names(
    __name__,
    {
        "base": (
            "judge_name",
            "judge_part",
            "judge_parts",
            "make_judge",
        ),
        "model_judge": ("ModelJudge",),
        "query": (
            "JudgeQuery",
            "JudgeReply",
            "ask",
        ),
        "scopes": ("judge_on",),
        "spec": (
            "JudgeSpec",
            "named_judges",
        ),
        "templates.base": (
            "JudgeTemplate",
            "ParsedVerdict",
        ),
    },
)
