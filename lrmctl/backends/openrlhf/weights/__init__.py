"""Weights in the loss of SFT, which OpenRLHF does not have: import hooks in the trainer's processes add them.

Off unless a recipe asks for weights; on CUDA as on CPU. `hooks` is what is changed in which module, `importance` PEAR's
weights. Runs in the trainer's processes, so nothing here imports more of lrmctl than it needs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lrmctl.backends.openrlhf.import_hooks import hook_path

__all__ = ["VARIABLE", "weights_env"]

VARIABLE = "LRMCTL_OPENRLHF_WEIGHTS"
"""Environment variable with the settings of the loss as JSON; without it nothing is changed."""


def weights_env(settings: Mapping[str, Any]) -> dict[str, str]:
    """Environment variables that turn the hook on.

    Args:
        settings: `normalise`, and `importance` where the weights are computed while training.
    """
    return {VARIABLE: json.dumps(dict(settings)), "PYTHONPATH": hook_path()}
