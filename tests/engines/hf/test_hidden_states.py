"""Mean hidden states: those of transformers, whatever else is in the batch."""

from __future__ import annotations

import numpy as np
import pytest

from lrmctl.engines.hf.engine import HfEngine
from lrmctl.errors import RecipeError
from lrmctl.lab import base_path

PAIRS = [([5, 6, 7], [8, 9]), ([5], [9, 10, 11, 12]), ([4, 4, 4, 4, 4, 4], [7]), ([3], [])]


@pytest.fixture(scope="module")
def engine() -> HfEngine:
    return HfEngine(base_path(), batch_size=2, device="cpu")


@pytest.mark.parametrize("layer", [0, 1, -1])
def test_they_are_those_of_one_text_alone(engine: HfEngine, layer: int) -> None:
    import torch

    found = engine.mean_hidden_states(PAIRS, layer)
    for row, (context, text) in zip(found[:3], PAIRS, strict=False):
        with torch.inference_mode():
            out = engine.model(torch.tensor([[*context, *text]]), output_hidden_states=True)
        assert np.allclose(row, out.hidden_states[layer][0, len(context) :].mean(0).numpy(), atol=1e-4)
    assert not found[3].any()


def test_a_layer_that_is_not_there(engine: HfEngine) -> None:
    with pytest.raises(RecipeError, match="has no layer 99"):
        engine.mean_hidden_states(PAIRS, 99)
