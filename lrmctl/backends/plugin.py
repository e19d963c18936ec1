"""The built-in training backends, registered through the same hook as anyone else's."""

from __future__ import annotations

from typing import Any

from lrmctl.hooks.specs import Register, hookimpl


def _openrlhf(**options: Any) -> Any:
    from lrmctl.backends.openrlhf.backend import OpenRlhf

    return OpenRlhf(**options)


@hookimpl
def lrmctl_backends(register: Register) -> None:
    register("openrlhf", _openrlhf, summary="OpenRLHF 0.11: SFT and GRPO, on CUDA or on CPU")
