"""Which GPUs this process may use, and whether it runs inside a job of a Ray cluster."""

from __future__ import annotations

import os

VISIBLE = "CUDA_VISIBLE_DEVICES"
IN_RAY_JOB = "LRMCTL_RAY_JOB"
"""Variable that is set in a job of a Ray cluster that lrmctl itself runs in."""


def visible_gpus() -> tuple[str, ...]:
    """The GPUs that this process may use, as `CUDA_VISIBLE_DEVICES` names them; empty without any."""
    import torch

    count = torch.cuda.device_count()
    named = [name.strip() for name in os.environ.get(VISIBLE, "").split(",") if name.strip()]
    return tuple(named[:count] if named else map(str, range(count)))
