"""Stands in for vLLM on a machine without it: the names that OpenRLHF uses, over lrmctl's own CPU engine."""

from lrmctl.backends.openrlhf.cpu.engine import AsyncEngineArgs, AsyncLLMEngine, SamplingParams

__version__ = "0.29.0"  # what OpenRLHF 0.11.2 is pinned to; it compares versions

__all__ = ["AsyncEngineArgs", "AsyncLLMEngine", "SamplingParams"]
