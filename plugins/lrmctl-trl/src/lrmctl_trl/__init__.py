"""TRL as a training backend of lrmctl: SFT, GRPO and DPO in one process, on CUDA or on CPU."""

from __future__ import annotations

from pathlib import Path

from lrmctl import hookimpl
from lrmctl.hooks import Register

lrmctl_api = 1


@hookimpl
def lrmctl_backends(register: Register) -> None:
    register("trl", "lrmctl_trl.backend:Trl", summary="TRL 1.16: SFT, GRPO and DPO in one process")


@hookimpl
def lrmctl_recipes(register: Register) -> None:
    study = Path(__file__).parent / "recipes" / "against-openrlhf.yaml"
    register("trl/against-openrlhf", lambda: study, summary="the lab's SFT, RL and DPO with both backends")
