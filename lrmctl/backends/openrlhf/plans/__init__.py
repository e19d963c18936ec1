"""Plans of SFT, preference and RL runs: what they share, and what is special to each."""

from __future__ import annotations

__all__ = ["preference", "rl", "sft"]

from lrmctl.backends.openrlhf.plans import preference, rl, sft
