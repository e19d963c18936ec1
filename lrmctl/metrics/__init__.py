"""The metrics of an evaluation: per row, per prompt, and per set.

Unsafe, malformed and failed are kept apart: outcomes of one part are safe, unsafe or malformed and add up to 1. A
failed verdict is left out of every rate and counted in `judge_failed`; a failed completion counts in
`generation_failed` only. Each metric's formula, unit and source is in docs/metrics.md. Knows rows and statistics only.
"""

from lrmctl.metrics.per_row import METRICS, Metric
from lrmctl.metrics.summary import per_prompt, summarize

__all__ = ["METRICS", "Metric", "per_prompt", "summarize"]
