"""`lrmctl train --smoke`: the whole chain of any recipe on CPU in about a minute, with everything large made small.

What a recipe says of its algorithm, its rewards and its flags is kept; the model is a random one of the same
architecture, the data a few of its rows, and whatever would load another model is a stand-in that says so. It shows
that a recipe runs, never how good it is. Nothing is downloaded.
"""

from __future__ import annotations

import os
from pathlib import Path

from lrmctl.smoke.chain import Smoked, Stage, smoke

__all__ = ["Smoked", "Stage", "smoke", "stay_here"]

NO_GPU = "90,91,92,93,94,95"
"""Numbers of GPUs that no machine has: CUDA then sees none, while Ray, which refuses an empty list, counts enough."""


def stay_here() -> None:
    """Let this process and its children download nothing and use no GPU.

    To be called before torch, transformers and datasets are imported, which look at these variables only then.
    """
    os.environ.update({"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"})
    if Path("/dev/nvidiactl").exists():
        os.environ["CUDA_VISIBLE_DEVICES"] = NO_GPU
