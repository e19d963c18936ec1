"""Plans of SFT and RL runs: what they share, and what is special to each."""

from __future__ import annotations

__all__ = ["rl", "sft"]

from lrmctl.backends.openrlhf.plans import rl, sft
