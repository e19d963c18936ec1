"""The key-value cache of the running rows, from which a row can leave and which a row can join at any step.

Each row has a slot. Its keys and values start at column 0 of the slot, whatever the lengths of other rows, and each
step writes one column per row in place: nothing is copied when a row ends, and a new row overwrites the slot. Models
whose cache is not plain full attention, or that take no position ids, get a `StaticBatchCache`, whose rows start
together. Knows token ids and tensors; no sampling.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from lrmctl.engines.hf.forward import accepted, last_only
from lrmctl.engines.hf.padding import left_pad

if TYPE_CHECKING:
    from torch import Tensor

_CHUNK = 64
"""Minimum number of columns by which the slots grow."""

_PREFILL = 16_384
"""Tokens, padding included, of one prefill pass: bounds the memory of its activations."""


def joinable(model: Any, pad: int) -> bool:
    """Whether rows can join a running batch: the model takes position ids and all layers have plain keys and values."""
    import torch

    if "position_ids" not in accepted(model):
        return False
    out = model(input_ids=torch.tensor([[pad]], device=model.device), use_cache=True)
    layers = getattr(out.past_key_values, "layers", None) or []
    return bool(layers) and all(type(layer).__name__ == "DynamicLayer" for layer in layers)


class SlotKVCache:
    """Rows in slots 0 to `size` - 1 of a model that is `joinable`."""

    joins = True

    def __init__(self, model: Any, size: int, pad: int) -> None:
        self._model, self._pad = model, pad
        self._lengths = [0] * size
        self._layers: list[_Layer] = []

    def start(self, slots: Sequence[int], prompts: Sequence[Sequence[int]]) -> Tensor:
        """Prefill new rows in free slots; logits of their next token, float32 `[len(slots), V]`.

        Rows with the same tokens are computed once.
        """
        import torch

        rows: dict[tuple[int, ...], list[int]] = {}
        for i, prompt in enumerate(prompts):
            rows.setdefault(tuple(prompt), []).append(i)
        found: list[Tensor] = []
        order: list[int] = []
        for some in _portions(list(rows)):
            logits, cache = self._read(some)
            which = [n for n, prompt in enumerate(some) for _ in rows[prompt]]
            members = [i for prompt in some for i in rows[prompt]]
            self._write([slots[i] for i in members], which, [len(p) for p in some], cache)
            found.append(logits[which])
            order += members
        return torch.cat(found)[torch.tensor(order).argsort().to(found[0].device)]

    def step(self, tokens: Sequence[int], live: Sequence[bool]) -> Tensor:
        """Feed one token to every slot; logits of the next, float32 `[size, V]`, meaningless in empty slots."""
        import torch
        from transformers import Cache

        self._lengths = [n if alive else 0 for n, alive in zip(self._lengths, live, strict=True)]
        width = max(self._lengths) + 1
        device = self._model.device
        at = torch.tensor(self._lengths, device=device)
        self._fit(width)
        for layer in self._layers:
            layer.at, layer.width = at, width
        out = self._model(
            input_ids=torch.tensor(tokens, device=device)[:, None],
            attention_mask=torch.arange(width, device=device) <= at[:, None],
            position_ids=at[:, None],
            past_key_values=Cache(layers=self._layers),  # type: ignore[arg-type]  # what it needs of a layer
            use_cache=True,
            **last_only(self._model),
        )
        self._lengths = [n + alive for n, alive in zip(self._lengths, live, strict=True)]
        return out.logits[:, -1].float()  # type: ignore[no-any-return]

    def keep(self, slots: Sequence[int]) -> None:
        """Free all slots but these, which move to the front."""
        import torch

        kept = torch.tensor(slots, device=self._model.device)
        for layer in self._layers:
            layer.keep(kept, max(self._lengths[s] for s in slots))
        self._lengths = [self._lengths[s] for s in slots]

    def _read(self, prompts: Sequence[Sequence[int]]) -> tuple[Tensor, Any]:
        tokens, mask = left_pad(prompts, self._pad)
        device = self._model.device
        out = self._model(
            input_ids=tokens.to(device),
            attention_mask=mask.to(device),
            position_ids=(mask.cumsum(1) - 1).clamp(min=0).to(device),
            use_cache=True,
            **last_only(self._model),
        )
        return out.logits[:, -1].float(), out.past_key_values

    def _write(self, owners: Sequence[int], which: Sequence[int], lengths: Sequence[int], cache: Any) -> None:
        import torch

        device, width = self._model.device, max(lengths)
        if not self._layers:
            made = _layer_class()
            self._layers = [made(len(self._lengths), layer.keys, layer.values) for layer in cache.layers]
        for slot, n in zip(owners, which, strict=True):
            self._lengths[slot] = lengths[n]
        self._fit(width)
        # rows were padded on the left: shift them to column 0; columns after a row's end are never attended to
        shift = width - torch.tensor(lengths, device=device)
        columns = (torch.arange(width, device=device) + shift[:, None]).clamp(max=width - 1)[:, None, :, None]
        slots, rows = torch.tensor(owners, device=device), torch.tensor(which, device=device)
        for mine, theirs in zip(self._layers, cache.layers, strict=True):
            mine.keys[slots, :, :width] = torch.take_along_dim(theirs.keys, columns, 2)[rows]
            mine.values[slots, :, :width] = torch.take_along_dim(theirs.values, columns, 2)[rows]

    def _fit(self, width: int) -> None:
        """Make room for this many columns; layer by layer, so that only one layer is in memory twice."""
        if width > self._layers[0].keys.shape[2]:
            for layer in self._layers:
                layer.grow(width + _CHUNK)


class _Layer:
    """Keys and values of one layer, `[size, heads, columns, D]`; with transformers' base class a layer of its cache."""

    is_sliding = False
    is_compileable = False
    is_initialized = True

    def __init__(self, size: int, keys: Tensor, values: Tensor) -> None:
        """Empty, of the shape and type of another cache's."""
        # zeros: a masked column has weight 0, but 0 times uninitialised memory may be NaN
        self.keys = keys.new_zeros(size, keys.shape[1], 0, keys.shape[3])
        self.values = values.new_zeros(size, values.shape[1], 0, values.shape[3])
        self.at: Any = None  # [size] column of the next token
        self.width = 0

    def update(self, keys: Tensor, values: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        import torch

        rows = torch.arange(len(self.at), device=keys.device)
        self.keys[rows, :, self.at] = keys[:, :, 0]
        self.values[rows, :, self.at] = values[:, :, 0]
        return self.keys[:, :, : self.width], self.values[:, :, : self.width]

    def get_mask_sizes(self, _query_length: int) -> tuple[int, int]:
        return self.width, 0

    def get_seq_length(self) -> int:
        """Position of the query: after every column, so that the mask alone decides what a row sees."""
        return self.width - 1

    def get_max_length(self) -> int:
        """No limit, in transformers' terms."""
        return -1

    def lazy_initialization(self, *_: Any) -> None:
        """Nothing is left to initialise."""

    def grow(self, columns: int) -> None:
        self.keys, self.values = _wider(self.keys, columns), _wider(self.values, columns)

    def keep(self, rows: Tensor, columns: int) -> None:
        self.keys = self.keys[rows, :, :columns]
        self.values = self.values[rows, :, :columns]


@cache
def _layer_class() -> type[_Layer]:
    """`_Layer` as a subclass of transformers' class, which its cache requires."""
    from transformers.cache_utils import CacheLayerMixin

    return type("SlotLayer", (_Layer, CacheLayerMixin), {})


def _wider(held: Tensor, columns: int) -> Tensor:
    made = held.new_zeros(*held.shape[:2], columns, held.shape[3])
    made[:, :, : held.shape[2]] = held
    return made


class StaticBatchCache:
    """Rows that start together, left-padded, in the model's own cache; none joins before all have left."""

    joins = False

    def __init__(self, model: Any, pad: int) -> None:
        self._model, self._pad = model, pad
        self._cache: Any = None
        self._mask: Any = None

    def start(self, slots: Sequence[int], prompts: Sequence[Sequence[int]]) -> Tensor:
        """Prefill the rows; logits of their next token, float32 `[R, V]`. `slots` are all of them, in order."""
        if list(slots) != list(range(len(prompts))):
            raise ValueError("rows of this model's cache can only start together")
        tokens, mask = left_pad(prompts, self._pad)
        self._cache, self._mask = None, mask.to(self._model.device)
        return self._forward(tokens.to(self._model.device))

    def step(self, tokens: Sequence[int], live: Sequence[bool]) -> Tensor:
        """Feed one token to every row; logits of the next, float32 `[R, V]`."""
        import torch

        del live
        self._mask = torch.nn.functional.pad(self._mask, (0, 1), value=1)
        return self._forward(torch.tensor(tokens, device=self._model.device)[:, None])

    def keep(self, slots: Sequence[int]) -> None:
        """Drop all rows but these."""
        import torch

        kept = torch.tensor(slots, device=self._model.device)
        self._cache.batch_select_indices(kept)
        self._mask = self._mask[kept]

    def _forward(self, tokens: Tensor) -> Tensor:
        extra = last_only(self._model)
        if "position_ids" in accepted(self._model):
            extra["position_ids"] = (self._mask.cumsum(1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
        out = self._model(
            input_ids=tokens, attention_mask=self._mask, past_key_values=self._cache, use_cache=True, **extra
        )
        self._cache = out.past_key_values
        return out.logits[:, -1].float()  # type: ignore[no-any-return]


def _portions(prompts: Sequence[tuple[int, ...]]) -> Iterator[list[tuple[int, ...]]]:
    """Prompts, longest first, split into parts of one pass each."""
    ordered = sorted(prompts, key=len, reverse=True)
    start = 0
    while start < len(ordered):
        count = max(1, _PREFILL // len(ordered[start]))
        yield ordered[start : start + count]
        start += count
