"""Run by tests as a program: the advantages that the installed, unedited OpenRLHF makes of rewards.

Reads a JSON list of cases from stdin and writes a JSON list of lists: the advantage of each sample's first token.
"""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import Any

import torch


def advantages(case: dict[str, Any]) -> list[float]:
    """Case: `estimator`, `samples` (per prompt), `rewards` (in prompt order), `lengths` (tokens) and `clip`."""
    from openrlhf.trainer.ppo_utils.experience import Experience
    from openrlhf.trainer.ppo_utils.experience_maker import RemoteExperienceMaker

    rewards = case["rewards"]
    lengths = case.get("lengths") or [3] * len(rewards)
    advantage = SimpleNamespace(estimator=case["estimator"], gamma=1.0, lambd=1.0, no_std_norm=False)
    reward = SimpleNamespace(
        clip_range=tuple(case.get("clip", (-10.0, 10.0))),
        overlong_buffer_len=case.get("buffer"),
        overlong_penalty_factor=case.get("penalty", 1.0),
        stop_properly_penalty_coef=case.get("truncated_penalty"),
    )
    rollout = SimpleNamespace(n_samples_per_prompt=case["samples"], max_new_tokens=case.get("max_new_tokens"))
    args = SimpleNamespace(algo=SimpleNamespace(advantage=advantage), rollout=rollout, reward=reward)
    maker: Any = RemoteExperienceMaker.__new__(RemoteExperienceMaker)
    maker.strategy, maker.args = SimpleNamespace(args=args), args
    maker.advantage_estimator, maker.kl_ctl = case["estimator"], SimpleNamespace(value=0.0)
    width = max(lengths)
    experiences = []
    for i, (value, length) in enumerate(zip(rewards, lengths, strict=True)):
        mask = torch.zeros(1, width, dtype=torch.long)
        mask[0, :length] = 1
        experiences.append(
            Experience(
                sequences=torch.zeros(1, width + 1, dtype=torch.long),
                attention_mask=torch.ones(1, width + 1, dtype=torch.long),
                action_mask=mask,
                rewards=torch.tensor([value]),
                values=torch.zeros(1, width),
                kl=torch.zeros(1, width),
                index=[i],
                response_length=torch.tensor([length]),
                truncated=torch.tensor([bool(case.get("truncated", [False] * len(rewards))[i])]),
                info={},
            )
        )
    maker.compute_advantages_and_returns(experiences)
    return [float(e.advantages[0, 0]) for e in experiences]


if __name__ == "__main__":
    print(json.dumps([advantages(case) for case in json.load(sys.stdin)]))
