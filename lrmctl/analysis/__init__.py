"""How reasoning changed: reflection counts and token entropy, from the rows of an evaluation.

Reads `eval/rows.jsonl` of a run folder and writes `analysis/*.json` beside it. Judges nothing and trains nothing.
"""

from __future__ import annotations

from lrmctl.analysis.run import analyze

__all__ = ["analyze"]
