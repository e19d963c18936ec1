"""What all plans for OpenRLHF share: the device, flags, the environment."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lrmctl.backends.base import TrainJob
from lrmctl.backends.launch.supervisor import TEMP
from lrmctl.backends.openrlhf.flags import parser as cli
from lrmctl.errors import RecipeError
from lrmctl.planning.layout import placement
from lrmctl.recipe.schema.recipes import OfflineRecipe, RlRecipe
from lrmctl.recipe.schema.sections import BackendSection, Layout, Optimizer

SCHEDULES = {"constant": "constant_with_warmup", "cosine": "cosine_with_min_lr"}


@dataclass(frozen=True)
class ComputeTarget:
    """Where a job runs and in which precision."""

    device: Literal["cuda", "cpu"]
    dtype: Literal["bf16", "fp16", "fp32"]

    @property
    def attention(self) -> str:
        return "flash_attention_2" if self.device == "cuda" else "sdpa"


def compute_target(section: BackendSection, layout: Layout, here: bool = True) -> ComputeTarget:
    """The effective device and precision of a recipe.

    Args:
        here: on this machine; otherwise on one with the GPUs that the layout asks for, unless the recipe says `cpu`.

    Raises:
        RecipeError: for a device that is not available, or a precision that the device does not support.
    """
    cuda = _cuda() if here else section.device != "cpu"
    device: Literal["cuda", "cpu"] = ("cuda" if cuda else "cpu") if section.device == "auto" else section.device
    if device == "cuda" and not cuda:
        raise RecipeError("torch sees no CUDA device", "backend.device", "say `device: auto` or `device: cpu`")
    if device == "cpu" and cuda:
        raise RecipeError(
            "OpenRLHF runs on CPU only where no CUDA device is visible",
            "backend.device",
            "say `device: auto`, or hide the GPUs with CUDA_VISIBLE_DEVICES=90,91,92,93 (numbers that are not there)",
        )
    if device == "cpu" and layout.gpus * layout.nodes > 1:
        raise RecipeError("a run on CPU has one process", "layout.gpus", "say `gpus: 1` and `nodes: 1`")
    wanted = section.dtype if section.dtype != "auto" else ("bf16" if device == "cuda" else "fp32")
    if (device, wanted) in (("cuda", "fp32"), ("cpu", "fp16")):
        raise RecipeError(
            f"OpenRLHF does not train in {wanted} on {device}",
            "backend.dtype",
            "say bf16 (or fp16)" if device == "cuda" else "say fp32 or bf16",
        )
    return ComputeTarget(device, wanted)


def _cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def program_argv(
    program: cli.Program, arguments: Mapping[str, Any], processes: int = 1, nodes: int = 1, starter: Path | None = None
) -> tuple[str, ...]:
    """Command line of a program; several processes (on each node) are started by torchrun.

    Args:
        starter: the file that starts it (see `start.py`), if an argument must be hidden.
    """
    module = f"openrlhf.cli.{program}"
    start = [sys.executable, "-u", *([str(starter)] if starter else ["-m"]), module]
    if processes * nodes > 1:
        run = ["torch.distributed.run", "--standalone", "--nproc_per_node", str(processes), "--module", module]
        start = [sys.executable, "-u", "-m", *run]
    return (*start, *cli.to_argv(arguments))


def resources(recipe: OfflineRecipe | RlRecipe, target: ComputeTarget) -> dict[str, float]:
    """The resources of a launch: nodes, and GPUs on each of them."""
    placed = placement(recipe, target.device)
    return {"gpus": math.ceil(placed.gpus / max(placed.nodes, 1)), "nodes": placed.nodes}


def environment(target: ComputeTarget, roles: int = 1, engine: str = "builtin") -> dict[str, str]:
    """Environment of every OpenRLHF process: quiet, works offline, temporary files in the launch's own folder.

    Args:
        roles: number of processes that want a GPU.
        engine: rollout engine on CPU.
    """
    env = {
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
        "DO_NOT_TRACK": "1",
        "HF_DATASETS_CACHE": f"{TEMP}/datasets",
    }
    if target.device == "cpu":
        from lrmctl.backends.openrlhf.cpu import cpu_env

        env |= cpu_env("fp32" if target.dtype == "fp32" else "bf16", roles=roles, engine=engine)
    return env


def optimizer_flags(optimizer: Optimizer, target: ComputeTarget, prefix: str) -> dict[str, Any]:
    """Flags of the optimizer section; `prefix` is `actor.` or `critic.` in RL."""
    packing = optimizer.packing and target.device == "cuda"
    return {
        f"{prefix}adam.lr": optimizer.learning_rate,
        f"{prefix}adam.betas": list(optimizer.betas),
        f"{prefix}adam.weight_decay": optimizer.weight_decay,
        f"{prefix}lr_scheduler": SCHEDULES[optimizer.schedule],
        f"{prefix}lr_warmup_ratio": optimizer.warmup_ratio,
        f"{prefix}min_lr_ratio": optimizer.min_lr_ratio,
        f"{prefix}max_norm": optimizer.max_grad_norm,
        "train.micro_batch_size": optimizer.micro_batch_size,
        "ds.zero_stage": optimizer.zero_stage,
        "ds.adam_offload": optimizer.offload,
        "ds.param_dtype": "fp16" if target.dtype == "fp16" else "bf16",
        "ds.attn_implementation": target.attention,
        "ds.packing_samples": packing,
        "ds.ring_attn_size": optimizer.sequence_parallel if optimizer.sequence_parallel > 1 else None,
        **_lora_flags(optimizer),
    }


def _lora_flags(optimizer: Optimizer) -> dict[str, Any]:
    lora = optimizer.lora
    if lora is None:
        return {}
    return {
        "ds.lora.rank": lora.rank,
        "ds.lora.alpha": lora.alpha,
        "ds.lora.dropout": lora.dropout,
        # the default is this word as a string; given as a flag it would become a list, which peft reads as module names
        "ds.lora.target_modules": None if lora.targets == ("all-linear",) else list(lora.targets),
    }


def folder_flags(job: TrainJob) -> dict[str, Any]:
    """Flags for the files of a run folder; the model gets its final name once it is complete."""
    return {
        "ckpt.output_dir": str(job.run_dir / "model.part"),
        "ckpt.path": str(job.run_dir / "checkpoints"),
        "ckpt.max_num": 2,
        "ckpt.load_enable": job.resume,
        "logger.tensorboard_dir": str(job.run_dir / "logs" / "tensorboard"),
        "logger.wandb.run_name": "train",
    }


def notes(job: TrainJob, target: ComputeTarget) -> list[str]:
    """Notes for any run: a precision that is not OpenRLHF's default, and models with custom code, which it executes."""
    sentences = [version] if (version := cli.version_note()) else []
    if target.dtype == "fp32":
        sentences.append("training in fp32 on CPU; OpenRLHF itself has bf16 and fp16 only")
    if job.recipe.trust_remote_code:
        sentences.append(f"OpenRLHF runs the Python code in {job.model_path}, if it names any: the recipe trusts it")
    return sentences
