"""Widens a model's attention heads without changing its function, for engines with a minimum head size (vLLM: 32).

The added dimensions are zero and stay zero in training, because their gradients are products with zeros. Rotary
embeddings rotate dimensions i and i + d/2 together by the angle position / theta^(2i/d); in a head w times as wide the
pair with the same angle is w*i and w*i + w*d/2, so dimension i moves to w*i. Attention divides by the square root of
the head size, so queries and keys are each multiplied by w^(1/4).
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl.errors import LrmctlError, RunExistsError

if TYPE_CHECKING:
    from torch import Tensor


def widen(source: Path, out: Path, head_dim: int) -> Path:
    """Write a Llama-type checkpoint with heads of `head_dim` that computes the same function.

    Raises:
        LrmctlError: not a Llama-type model, or `head_dim` is not a multiple of the current one.
        RunExistsError: `out` is not empty.
    """
    from safetensors.torch import load_file, save_file

    config: dict[str, Any] = json.loads((source / "config.json").read_text(encoding="utf-8"))
    old = int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])
    if config.get("model_type") != "llama" or head_dim % old:
        what = f"heads of {old} of a {config.get('model_type')} model cannot be widened to {head_dim}"
        raise LrmctlError(what, str(source), f"give a Llama-type model and a multiple of {old}")
    if out.exists() and any(out.iterdir()):
        raise RunExistsError(f"{out} holds something already", fix="name a new folder")
    out.mkdir(parents=True, exist_ok=True)
    weights = load_file(source / "model.safetensors")
    save_file({n: _wide(n, w, old, head_dim) for n, w in weights.items()}, out / "model.safetensors", {"format": "pt"})
    (out / "config.json").write_text(json.dumps({**config, "head_dim": head_dim}, indent=2) + "\n", encoding="utf-8")
    for file in source.iterdir():
        if file.is_file() and file.name not in ("config.json", "model.safetensors", "manifest.json"):
            shutil.copy(file, out)
    return out


def _wide(name: str, weight: Tensor, old: int, new: int) -> Tensor:
    """Widen one parameter: attention projections get zero rows (o_proj: columns), others are unchanged."""
    kind = next((k for k in ("q_proj", "k_proj", "v_proj", "o_proj") if f".{k}." in name), "")
    if not kind:
        return weight.contiguous()
    rotary = kind in ("q_proj", "k_proj")
    rows = weight.T if kind == "o_proj" else weight
    wide = rows.new_zeros(rows.shape[0] // old, new, *rows.shape[1:])
    wide[:, _places(old, new, rotary)] = rows.reshape(-1, old, *rows.shape[1:]) * (
        (new / old) ** 0.25 if rotary else 1.0
    )
    flat = wide.flatten(0, 1)
    return (flat.T if kind == "o_proj" else flat).contiguous()


def _places(old: int, new: int, rotary: bool) -> list[int]:
    """New index of each dimension of a head."""
    times = new // old
    return [times * i for i in range(old)] if rotary else list(range(old))
