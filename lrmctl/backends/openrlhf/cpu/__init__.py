"""Runs the unedited OpenRLHF 0.11.2 on a machine without CUDA, in the same environment, with nothing else to install.

`cpu_env` gives the environment that turns the shim on: a `sitecustomize` (folder `../site/`) registers import hooks
(`../import_hooks.py`, `patches.py`) in every process of the launch, Ray workers too, and puts stand-ins for flash_attn
and vllm (folder `standins/`) last on the path. The stand-in vllm is a batched CPU engine (`engine.py`) over lrmctl's
own sampler. Without `LRMCTL_OPENRLHF_CPU=1` nothing happens; on a machine with CUDA importing openrlhf then fails.

Flags that suit it, tried with a tiny model and 128 samples a step:
- `--ds.zero_stage 2`: with ZeRO 0 in fp32 the gradient norm is logged as 0.
- `--ds.attn_implementation sdpa --vllm.num_engines 1 --vllm.sync_backend gloo --vllm.enforce_eager`: a single engine
  is told how many rows a step has, so that they make one batch and two runs give the same metrics to the last digit.
- `--train.micro_batch_size 32 --rollout.micro_batch_size 64`.
- fp32: a step takes half to three quarters of the time of bf16. `--algo.advantage.is_correction_level token` logs
  `vllm_kl`, the distance between engine and trainer: 2e-7 in fp32, 1e-4 in bf16.
- Threads: OMP_NUM_THREADS where it is set, so that launches side by side have cores of their own; else up to four.
  With two, a step's training passes take a quarter less time than with one; sampling from a tiny model, which is all
  short matrix products, takes a quarter more, so the rollout engine uses one thread for those.
- `RAY_TMPDIR`: one for each launch, and short (sockets in it may have paths of at most 107 characters).
"""

from __future__ import annotations

import json
import os
from typing import Literal

from lrmctl.backends.openrlhf.import_hooks import hook_path

__all__ = ["ROLES", "cpu_env"]

ROLES = 3
"""Actor, reference and rollout engine, each with a GPU that Ray only counts."""

_VLLM = {
    "LRMCTL_OPENRLHF_ENGINE": "vllm",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB; by default half of the machine's memory
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # it would pin its threads to all cores but one, possibly one of two
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
}


def cpu_env(
    dtype: Literal["fp32", "bf16"], *, threads: int | None = None, roles: int = ROLES, engine: str = "builtin"
) -> dict[str, str]:
    """Environment variables that make OpenRLHF run on CPU.

    Args:
        dtype: `bf16` as in OpenRLHF, or `fp32`, which is faster on CPUs and must be chosen explicitly.
        threads: torch threads of each process; by default OMP_NUM_THREADS, or the number of cores, at most four.
        roles: number of processes that want a GPU; Ray starts a spare process or two for each CPU that it counts.
        engine: `builtin`, or `vllm` for an installed vllm-cpu.
    """
    return {
        **(_VLLM if engine == "vllm" else {}),
        "LRMCTL_OPENRLHF_CPU": "1",
        "LRMCTL_OPENRLHF_DTYPE": dtype,
        "PYTHONPATH": hook_path(),
        "DS_ACCELERATOR": "cpu",
        "RAY_OVERRIDE_RESOURCES": json.dumps({"CPU": roles + 1, "GPU": roles}),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",  # 15 by default: starved by other processes of the machine
        "RAY_raylet_start_wait_time_s": "180",  # 30 by default, too short on a busy machine
        "OMP_NUM_THREADS": str(threads or _threads()),
        "OMP_WAIT_POLICY": "PASSIVE",
        "TOKENIZERS_PARALLELISM": "false",
    }


def _threads() -> int:
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdigit() and int(asked) else min(len(os.sched_getaffinity(0)), 4)
