"""The HTTP service that scores rollouts for a trainer: web server, ledger of rollouts, worker processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl._util.lazy import lazy_names

if TYPE_CHECKING:
    from lrmctl.rewards.service.failure_policy import FailurePolicy
    from lrmctl.rewards.service.protocol import decode_label, encode_label, numbered, thinking_of_label
    from lrmctl.rewards.service.server import RewardService
    from lrmctl.rewards.service.sockets import LOOPBACK, own_address

__all__ = [
    "LOOPBACK",
    "FailurePolicy",
    "RewardService",
    "decode_label",
    "encode_label",
    "numbered",
    "own_address",
    "thinking_of_label",
]

__getattr__ = lazy_names(
    __name__,
    {
        "failure_policy": ("FailurePolicy",),
        "protocol": (
            "decode_label",
            "encode_label",
            "numbered",
            "thinking_of_label",
        ),
        "server": ("RewardService",),
        "sockets": (
            "LOOPBACK",
            "own_address",
        ),
    },
)
