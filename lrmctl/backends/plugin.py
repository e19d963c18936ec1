"""The built-in training backends, registered through the same hook as third-party ones."""

from __future__ import annotations

from lrmctl.hooks.specs import Register, hookimpl


@hookimpl
def lrmctl_backends(register: Register) -> None:
    register(
        "openrlhf",
        "lrmctl.backends.openrlhf.backend:OpenRlhf",
        summary="OpenRLHF 0.11: SFT and GRPO, on CUDA or on CPU",
    )
