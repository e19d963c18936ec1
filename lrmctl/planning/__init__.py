"""Estimates what a run needs before it starts: model shape, placement, memory per GPU, and derived numbers.

Arithmetic only: no torch, no network, no backend. Each memory item states its formula and the formula's source.
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
