"""What a run will take before it takes it: shapes, placement, memory per GPU, and the numbers that follow.

Arithmetic only: no torch, no network, no backend. A figure says its formula and where the formula comes from.
"""

from lrmctl.planning.describe import PlanSummary, describe

__all__ = ["PlanSummary", "describe"]
