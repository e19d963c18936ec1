"""Engines: models that complete prompts, behind one base class for evaluations, judges and rewards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl._util.lazy import lazy_names

if TYPE_CHECKING:
    from lrmctl.engines.base import Capability, Completion, Engine, GenerationRequest, Rendering, Sampling
    from lrmctl.engines.factory import judge_engine, make_engine
    from lrmctl.engines.probabilities import FirstTokenProbabilities, LogLikelihood, TokenStatistics, TopLogprobs
    from lrmctl.engines.store import Store, complete, sample_traces

__all__ = [
    "Capability",
    "Completion",
    "Engine",
    "FirstTokenProbabilities",
    "GenerationRequest",
    "LogLikelihood",
    "Rendering",
    "Sampling",
    "Store",
    "TokenStatistics",
    "TopLogprobs",
    "complete",
    "judge_engine",
    "make_engine",
    "sample_traces",
]

__getattr__ = lazy_names(
    __name__,
    {
        "base": (
            "Capability",
            "Completion",
            "Engine",
            "GenerationRequest",
            "Rendering",
            "Sampling",
        ),
        "probabilities": (
            "FirstTokenProbabilities",
            "LogLikelihood",
            "TokenStatistics",
            "TopLogprobs",
        ),
        "factory": (
            "judge_engine",
            "make_engine",
        ),
        "store": (
            "Store",
            "complete",
            "sample_traces",
        ),
    },
)
