"""A process that downloads nothing and uses no GPU."""

from __future__ import annotations

import os
from pathlib import Path

NO_GPU = "90,91,92,93,94,95"
"""Numbers of GPUs that no machine has: CUDA then sees none, while Ray, which refuses an empty list, counts enough."""


def forbid_network_and_gpu() -> None:
    """Let this process and its children download nothing and use no GPU.

    To be called before torch, transformers and datasets are imported, which look at these variables only then.
    """
    os.environ.update({"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"})
    if Path("/dev/nvidiactl").exists():
        os.environ["CUDA_VISIBLE_DEVICES"] = NO_GPU
