"""lrmctl: make a large reasoning model safer in its thinking and its answers, and know that it worked."""

from __future__ import annotations

from lrmctl.hooks.specs import hookimpl
from lrmctl.types import Kind, Part, Plan, Prompt, Score, Trace, Verdict

__version__ = "0.1.0"
__all__ = ["Kind", "Part", "Plan", "Prompt", "Score", "Trace", "Verdict", "__version__", "hookimpl"]
