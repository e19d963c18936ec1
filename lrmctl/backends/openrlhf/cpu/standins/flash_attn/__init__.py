"""Stands in for flash-attn on a machine without CUDA: only what OpenRLHF imports at start-up."""

__version__ = "2.8.3"
