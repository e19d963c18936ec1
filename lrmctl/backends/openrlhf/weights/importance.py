"""PEAR's importance weights (arXiv 2602.01058), after a third party's note on the paper.

With delta_t = clip(log p_theta(y_t) - log p_beta(y_t), low, high), where p_theta is the model in training and p_beta
the policy that wrote the response of T tokens:

    sequence   G_t = exp(sum of all delta)
    token      G_t = gamma^(T - t) * exp(sum of delta_j for j > t)
    block      blocks of b tokens, rho_k the sum of delta in block k with the end e_k:
               G_t = gamma^(T - e_k) * exp(sum of rho_m for m > k)

log G is clipped. The loss is the sum of G_t * -log p_theta(y_t) over the number of tokens, G without a gradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

Level = Literal["sequence", "block", "token"]


@dataclass(frozen=True)
class ImportanceSettings:
    """How weights follow from log-probabilities; see the module.

    Attributes:
        low, high: bounds of delta.
        block: tokens of a block.
        log_low, log_high: bounds of log G.
    """

    level: Level = "token"
    gamma: float = 0.999
    low: float = -0.08
    high: float = 0.3
    block: int = 4
    log_low: float = -10.0
    log_high: float = 5.0


def importance_weights(policy: Tensor, behaviour: Tensor, active: Tensor, how: ImportanceSettings) -> Tensor:
    """G of every token, 0 where there is none.

    Args:
        policy, behaviour: log-probabilities of the actual tokens, `[rows, tokens]`.
        active: which tokens belong to the response, bool `[rows, tokens]`; in each row they are contiguous.

    Returns:
        `[rows, tokens]`, without a gradient.
    """
    import math

    import torch

    with torch.no_grad():
        delta = (policy.detach().float() - behaviour.float()).clamp(how.low, how.high) * active
        length = active.sum(-1, keepdim=True)
        position = active.cumsum(-1)  # 1..T on the response
        total = delta.sum(-1, keepdim=True)
        if how.level == "sequence":
            log_weight = total.expand_as(delta)
        else:
            size = 1 if how.level == "token" else how.block
            block = (position - 1).clamp(min=0) // size
            end = torch.minimum((block + 1) * size, length)
            until = delta.cumsum(-1)  # sum of delta up to and including each token
            first = active.float().argmax(-1, keepdim=True)
            at_end = until.gather(-1, (first + end - 1).clamp(0, delta.shape[-1] - 1))
            log_weight = (length - end) * math.log(how.gamma) + total - at_end
        weight: Tensor = log_weight.clamp(how.log_low, how.log_high).exp() * active
        return weight
