"""Padding helpers with the signatures of flash-attn's module of this name, in plain torch."""

from __future__ import annotations

import torch
from einops import rearrange  # re-exported: OpenRLHF imports it from here

__all__ = ["index_first_axis", "pad_input", "rearrange", "unpad_input"]


def index_first_axis(values: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    return values[indices]


def unpad_input(
    hidden: torch.Tensor, attention_mask: torch.Tensor, unused_mask: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, int, torch.Tensor]:
    """`[B, S, ...]` to the kept tokens `[T, ...]`, their flat indices, cumulative lengths, longest and lengths."""
    del unused_mask
    lengths = attention_mask.sum(dim=-1, dtype=torch.int32)
    indices = attention_mask.flatten().nonzero().flatten()
    cumulative = torch.nn.functional.pad(lengths.cumsum(0, dtype=torch.int32), (1, 0))
    return hidden.flatten(0, 1)[indices], indices, cumulative, int(lengths.max()), lengths


def pad_input(hidden: torch.Tensor, indices: torch.Tensor, batch: int, seqlen: int) -> torch.Tensor:
    """Back from `[T, ...]` to `[B, S, ...]`, zeros where there was padding."""
    out = hidden.new_zeros((batch * seqlen, *hidden.shape[1:]))
    out[indices] = hidden
    return out.reshape(batch, seqlen, *hidden.shape[1:])
