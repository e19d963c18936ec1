"""What a run will take before it takes it: shapes, placement, memory per GPU, and the numbers that follow.

Arithmetic only: no torch, no network, no backend. A figure says its formula and where the formula comes from.
"""

from lrmctl.planning.describe import PlanSummary, describe
from lrmctl.planning.layout import Placement, placement
from lrmctl.planning.memory import MemoryEstimate
from lrmctl.planning.model_shape import ModelShape, known_models, shape_of

__all__ = [
    "MemoryEstimate",
    "ModelShape",
    "Placement",
    "PlanSummary",
    "describe",
    "known_models",
    "placement",
    "shape_of",
]
