"""Turns the CPU shim on in a process, and refuses a machine with CUDA; what it changes is in `patches.py`.

Runs at the start of every Python process of the launch, so it imports nothing heavy.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lrmctl.backends.openrlhf.import_hooks import install_hooks


def install() -> None:
    """Turn the shim on in this process.

    Stand-ins come before real packages, so that lrmctl's rollout engine is used even if vllm is installed; with
    LRMCTL_OPENRLHF_ENGINE=vllm they come last, and the real vllm is used.
    """
    standins = str(Path(__file__).parent / "standins")
    if standins in sys.path:
        return
    install_hooks()
    place = len(sys.path) if os.environ.get("LRMCTL_OPENRLHF_ENGINE") == "vllm" else 0
    sys.path.insert(place, standins)


def refuse_cuda() -> None:
    """Raise if torch sees a CUDA device, where OpenRLHF must run without the shim.

    Raises:
        RuntimeError: with what to unset.
    """
    import torch

    if torch.cuda.is_available():
        raise RuntimeError(
            "LRMCTL_OPENRLHF_CPU=1 makes OpenRLHF run without CUDA, but torch sees a CUDA device: "
            "unset it, or set `backend.device: cuda` in the recipe"
        )
