"""Registers lrmctl's own checks, so that they are listed beside those of plugins."""

from __future__ import annotations

from lrmctl.hooks.specs import LazyFactory, Register, hookimpl

_SUMMARIES = {
    "python": "the interpreter",
    "libraries": "transformers, lm-eval, OpenRLHF, Ray and DeepSpeed are installed",
    "openrlhf-pins": "what is installed is what OpenRLHF asks for",
    "versions": "these versions were run together",
    "torch": "torch sees the GPUs that the driver sees",
    "gpus": "free memory of each GPU",
    "kernels": "flash-attn and vLLM, which only a GPU needs",
    "shared-memory": "/dev/shm is large enough for Ray and NCCL",
    "ports": "services can listen; Ray's ports are free",
    "runs": "the folder of runs can be written, and its disk has room",
    "hub": "the hub answers, and there is a token",
    "data-sets": "public data sets that are on this machine",
    "plugins": "third-party plugins load",
}


@hookimpl
def lrmctl_doctor_checks(register: Register) -> None:
    for name, summary in _SUMMARIES.items():
        register(name, LazyFactory("lrmctl.doctor:factory_of", (name,)), summary=summary)
