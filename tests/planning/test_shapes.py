"""The shape of a model: parameter counts as published and as transformers counts them, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from measured import SHAPES, build, shape_of

from lrmctl.errors import LrmctlError, NotFoundError, RecipeError
from lrmctl.lab import base_path
from lrmctl.planning import model_shape
from lrmctl.planning.model_shape import known_models, shape_from_config

_TABLE = json.loads((Path(model_shape.__file__).parent / "known_models.json").read_text())["models"]
_PUBLISHED = {name: entry["published"] for name, entry in _TABLE.items() if "published" in entry}


@pytest.mark.parametrize(("name", "published"), _PUBLISHED.items())
def test_a_known_model_has_its_published_number_of_parameters(name: str, published: float) -> None:
    assert known_models()[name].parameters == pytest.approx(published, rel=1e-3)


def test_the_exact_counts_of_two_models() -> None:
    assert known_models()["deepseek-ai/DeepSeek-R1-Distill-Llama-8B"].parameters == 8_030_261_248
    assert known_models()["deepseek-ai/DeepSeek-R1-Distill-Qwen-7B"].parameters == 7_615_616_512


def test_a_guard_has_the_shape_of_its_base() -> None:
    guard, base = known_models()["Qwen/Qwen3Guard-Gen-4B"], known_models()["Qwen/Qwen3-4B"]
    assert (guard.parameters, guard.max_positions) == (base.parameters, 32768)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", SHAPES)
def test_parameters_are_those_of_the_real_model(family: str, tied: bool) -> None:
    model = build(family, tied=tied)
    assert shape_of(model).parameters == sum(p.numel() for p in model.parameters())


def test_a_local_configuration_is_read_and_named_as_the_source() -> None:
    shape = model_shape.shape_of("lab:tiny", base_path())
    assert (shape.parameters, shape.tied, shape.source) == (252_992, True, str(base_path() / "config.json"))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_type": "qwen3_moe", "num_experts": 128}, "mixture of experts"),
        ({"model_type": "mistral", "num_local_experts": 8}, "mixture of experts"),
        ({"model_type": "gpt2"}, "gpt2"),
        ({"model_type": "llama", "hidden_size": 8}, "num_attention_heads"),
    ],
)
def test_what_would_be_counted_wrongly_is_refused(config: dict[str, object], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        shape_from_config(config, "m", "config.json")


def test_a_model_that_is_nowhere_is_named() -> None:
    with pytest.raises(NotFoundError, match="acme/unheard-of"):
        model_shape.shape_of("acme/unheard-of", None)


def test_a_broken_configuration_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(LrmctlError, match="not JSON") as caught:
        model_shape.shape_of("m", tmp_path)
    assert caught.value.where == str(tmp_path / "config.json")
