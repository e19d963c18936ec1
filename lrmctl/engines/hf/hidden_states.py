"""Mean hidden states of given tokens: one forward pass, without the output layer. Knows token ids and tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lrmctl.engines.hf.token_sampling import BROKEN

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Pair = tuple[Sequence[int], Sequence[int]]
"""Token ids of a context and of its continuation."""
_TOKENS = 8_192
"""Tokens of a batch, padding included: the hidden states of all layers are held at once."""


def layers_of(model: Any) -> int:
    """Number of layers, which is also the index of the last hidden state."""
    return int(model.config.get_text_config().num_hidden_layers)


def mean_hidden_states(
    model: Any, pairs: Sequence[Pair], layer: int, *, pad: int, batch_size: int = 16
) -> NDArray[np.float32]:
    """Mean over the tokens of each continuation, after its context: `[pairs, hidden size]`; zeros for an empty one.

    Args:
        model: a transformers causal LM.
        layer: 0 is the embedding; `layers_of(model)` and -1 are the last layer, after the final normalisation.
        pad: any token id, for right padding of shorter sequences.
        batch_size: most sequences per batch.

    Raises:
        ArithmeticError: a hidden state is NaN.
    """
    import numpy as np
    import torch

    found = np.zeros((len(pairs), int(model.config.get_text_config().hidden_size)), dtype=np.float32)
    order = sorted((i for i, pair in enumerate(pairs) if len(pair[1])), key=lambda i: -sum(map(len, pairs[i])))
    start = 0
    while start < len(order):
        width = sum(map(len, pairs[order[start]]))
        some = order[start : start + max(1, min(batch_size, _TOKENS // width))]
        with torch.inference_mode():
            found[some] = _means(model, [pairs[i] for i in some], layer, pad)
        start += len(some)
    if np.isnan(found).any():
        raise ArithmeticError(BROKEN)
    return found


def _means(model: Any, pairs: Sequence[Pair], layer: int, pad: int) -> NDArray[np.float32]:
    """Right padding changes nothing that comes before it."""
    import torch

    width = max(sum(map(len, pair)) for pair in pairs)
    rows = [[*context, *text, *[pad] * (width - len(context) - len(text))] for context, text in pairs]
    real = torch.tensor([[1] * sum(map(len, pair)) + [0] * (width - sum(map(len, pair))) for pair in pairs])
    counted = real.clone()
    for row, (context, _) in zip(counted, pairs, strict=True):
        row[: len(context)] = 0
    inputs = {"input_ids": torch.tensor(rows, device=model.device), "attention_mask": real.to(model.device)}
    states = _states(model, inputs, layer % (layers_of(model) + 1)).float()
    weights = counted.to(states.device, states.dtype)[:, :, None]
    means = (states * weights).sum(1) / weights.sum(1)
    return means.cpu().numpy()  # type: ignore[no-any-return]


class _Reached(Exception):
    """The layer after the wanted one is about to begin, so the rest need not be computed."""

    def __init__(self, states: Any) -> None:
        super().__init__()
        self.states = states


def _states(model: Any, inputs: dict[str, Any], layer: int) -> Any:
    """The hidden states after a layer, `[B, T, hidden size]`; later layers are not computed where they can be left."""
    body = model.base_model
    layers = getattr(body, "layers", None)
    if layers is None or layer >= len(layers):
        return body(**inputs, output_hidden_states=True, use_cache=False).hidden_states[layer]

    def stop(_: Any, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        raise _Reached(args[0] if args else options["hidden_states"])

    hook = layers[layer].register_forward_pre_hook(stop, with_kwargs=True)
    try:
        body(**inputs, use_cache=False)
    except _Reached as reached:
        return reached.states
    finally:
        hook.remove()
    raise RuntimeError(f"layer {layer} was not run")
