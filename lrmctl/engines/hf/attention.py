"""Grouped attention of one new token per row without copying the cache. Knows tensors only.

Where several query heads share a key head, transformers repeats keys and values for each of them whenever there is a
mask, at every layer and step. For a single new token the heads of a group can be passed as the queries of one call: the
same result, and the cache is read once. With the lab's model those copies took 15 to 28 % of the time.
"""

from __future__ import annotations

from typing import Any

_NAME = "lrmctl_grouped"


def group_heads(model: Any) -> None:
    """Make a model that uses torch's scaled dot-product attention attend in groups; others are left unchanged."""
    if getattr(model.config, "_attn_implementation", None) != "sdpa":
        return
    config = model.config.get_text_config()
    heads = getattr(config, "num_attention_heads", None)
    if heads is None or getattr(config, "num_key_value_heads", heads) in (None, heads):
        return
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(_NAME, _attend)
    AttentionMaskInterface.register(_NAME, sdpa_mask)
    model.set_attn_implementation(_NAME)


def _attend(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    dropout: float = 0.0,
    scaling: float | None = None,
    **more: Any,
) -> tuple[Any, None]:
    """Attention with the signature of transformers: query `[B, H, Q, D]`, key and value `[B, K, T, D]`; returns `[B, Q,
    H, D]`."""
    from torch.nn.functional import scaled_dot_product_attention
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    rows, heads, length, size = query.shape
    groups = key.shape[1]
    if length != 1 or groups == heads or dropout or more.get("position_bias") is not None:
        out: tuple[Any, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **more
        )
        return out
    grouped = query.reshape(rows, groups, heads // groups, size)
    found = scaled_dot_product_attention(grouped, key, value, attn_mask=attention_mask, scale=scaling)
    return found.reshape(rows, 1, heads, value.shape[-1]), None
