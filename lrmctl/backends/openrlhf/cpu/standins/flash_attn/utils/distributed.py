"""Imported by OpenRLHF at start-up, called only with ring attention, which needs the real package."""

from __future__ import annotations

from typing import NoReturn


def all_gather(*_args: object, **_options: object) -> NoReturn:
    raise NotImplementedError("ring attention needs the real flash-attn, which needs CUDA")
