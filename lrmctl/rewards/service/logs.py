"""Per-rollout numbers that OpenRLHF averages, chosen so that exact rates can be computed from the averages."""

from __future__ import annotations

from collections.abc import Sequence

from lrmctl.errors import LrmctlError
from lrmctl.rewards.compose import KINDS, RolloutReward
from lrmctl.types import Trace

# Keys that OpenRLHF 0.11.2 logs itself; a component of that name would overwrite them silently.
RESERVED = frozenset(
    (
        *("reward", "score", "return", "values", "truncated", "response_length", "total_length", "response_clip_ratio"),
        *("kl", "ppo_kl", "ppo_clip_ratio", "vllm_kl", "is_filter_ratio", "logprobs_diff", "entropy_loss", "aux_loss"),
        *("policy_loss", "actor_lr", "actor_grad_norm", "critic_loss", "critic_lr", "critic_grad_norm"),
        *("group_reward_std", "generated_samples", "dynamic_filtering_pass_rate", "failed_rollout"),
    )
)


def extra_logs(names: Sequence[str], trace: Trace | None, reward: RolloutReward | None) -> dict[str, float]:
    """Numbers that OpenRLHF averages over a step; the same keys for every rollout.

    A mean over all rollouts mixes kinds and components; a ratio of two means is the exact mean of one: `reward_<kind>`
    / `is_<kind>`, and `<component>` / `applies_<component>`. A rollout whose reward failed is in none of them;
    `failed_rollout` is 1 for it.
    """
    total = reward.total if reward else None
    kind = trace.prompt.kind if trace and total is not None else ""
    logs = {f"is_{k}": float(k == kind) for k in KINDS}
    logs |= {f"reward_{k}": float(total or 0.0) if k == kind else 0.0 for k in KINDS}
    for name in names:
        score = reward.components.get(name) if reward else None
        value = score.value if score else None
        logs |= {name: value or 0.0, f"applies_{name}": float(value is not None)}
    return {**logs, "failed_rollout": float(total is None)}


def check_names(names: Sequence[str]) -> None:
    """Refuse names that would collide with other metrics.

    Raises:
        LrmctlError: naming the component.
    """
    for name in names:
        if name in RESERVED or name in KINDS or name.startswith(("is_", "reward_", "applies_", "timing/", "rollout/")):
            raise LrmctlError(
                f"a reward component cannot be logged as {name!r}: metrics of that name exist already",
                fix="give the component another `name:`",
            )
