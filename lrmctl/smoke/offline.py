"""Keeps a process from using the network and GPUs."""

from __future__ import annotations

import os
from pathlib import Path

NO_GPU = "90,91,92,93,94,95"
"""GPU indices that no machine has: CUDA sees none, while Ray, which rejects an empty list, counts enough."""


def forbid_network_and_gpu() -> None:
    """Forbid downloads and GPUs in this process and its children.

    Must be called before torch, transformers and datasets are imported, because they read these variables on import.
    """
    os.environ.update({"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"})
    if Path("/dev/nvidiactl").exists():
        os.environ["CUDA_VISIBLE_DEVICES"] = NO_GPU
