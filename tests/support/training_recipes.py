"""Small recipes, and a way to change them."""

from __future__ import annotations

from typing import Any

SFT: dict[str, Any] = {
    "kind": "sft",
    "name": "tiny-sft",
    "model": "lab:tiny",
    "data": {"sources": [{"use": "lab-teacher", "options": {"variant": "mixed", "n": 64}}], "max_len": 256},
    "train": {"epochs": 2, "batch_size": 16},
    "optimizer": {"learning_rate": 1e-3, "micro_batch_size": 8},
}
PREFERENCE: dict[str, Any] = {
    "kind": "preference",
    "name": "tiny-preference",
    "model": "lab:tiny",
    "data": {"sources": [{"use": "lab-pairs", "options": {"n": 64}}], "max_len": 256},
    "train": {"epochs": 2, "batch_size": 16},
    "optimizer": {"learning_rate": 3e-4, "micro_batch_size": 8},
}
RL: dict[str, Any] = {
    "kind": "rl",
    "name": "tiny-rl",
    "model": "lab:tiny",
    "prompts": [{"use": "lab-prompts", "options": {"n": 32}}],
    "reward": {"components": [{"use": "format"}]},
    "algorithm": {"steps": 3, "prompts_per_step": 4, "samples_per_prompt": 4},
    "rollout": {"max_new_tokens": 64},
    "optimizer": {"learning_rate": 1e-4, "micro_batch_size": 8},
    "max_len": 192,
}


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A recipe with dotted keys set anew."""
    out = {k: dict(v) if isinstance(v, dict) else v for k, v in base.items()}
    for key, value in changes.items():
        *path, last = key.split(".")
        section = out
        for word in path:
            section[word] = dict(section.get(word, {}))
            section = section[word]
        section[last] = value
    return out
