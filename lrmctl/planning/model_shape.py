"""The shape of a model, which determines its parameter count and memory. Reads config.json; loads no weights.

Supports dense decoders with gated MLPs (Llama, Mistral, Qwen2, Qwen3). Anything else is rejected by name, because a
wrong parameter count would make every estimate wrong.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lrmctl.errors import NotFoundError, RecipeError

FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
_TABLE = Path(__file__).with_name("known_models.json")
_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")


@dataclass(frozen=True)
class ModelShape:
    """The shape of a dense decoder.

    Attributes:
        hidden: width of the residual stream.
        intermediate: width of the gated MLP.
        tied: the output head shares the embedding matrix.
        qkv_bias, o_bias: the attention projections have biases.
        qk_norm: queries and keys are normalized per head (Qwen3).
        max_positions: longest sequence that the model supports.
        source: where the numbers come from.
    """

    name: str
    family: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocab: int
    tied: bool
    max_positions: int
    qkv_bias: bool = False
    o_bias: bool = False
    qk_norm: bool = False
    source: str = ""

    @property
    def query(self) -> int:
        """Total width of all query heads."""
        return self.heads * self.head_dim

    @property
    def kv(self) -> int:
        """Total width of all key (or value) heads."""
        return self.kv_heads * self.head_dim

    @property
    def linears(self) -> tuple[tuple[str, int, int], ...]:
        """The linear maps of one layer: (name, inputs, outputs)."""
        h, q, kv, i = self.hidden, self.query, self.kv, self.intermediate
        attention = (("q_proj", h, q), ("k_proj", h, kv), ("v_proj", h, kv), ("o_proj", q, h))
        return (*attention, ("gate_proj", h, i), ("up_proj", h, i), ("down_proj", i, h))

    @property
    def layer_parameters(self) -> int:
        biases = self.qkv_bias * (self.query + 2 * self.kv) + self.o_bias * self.hidden
        norms = 2 * self.hidden + self.qk_norm * 2 * self.head_dim
        return sum(a * b for _, a, b in self.linears) + biases + norms

    @property
    def embedding_parameters(self) -> int:
        """Size of the embedding matrix, and of the head unless it is tied."""
        return self.vocab * self.hidden

    @property
    def parameters(self) -> int:
        """All parameters: embedding, head unless tied, layers, final norm."""
        matrices = self.embedding_parameters * (1 if self.tied else 2)
        return matrices + self.layers * self.layer_parameters + self.hidden

    def to_json(self) -> dict[str, Any]:
        fields = {k: getattr(self, k) for k in self.__dataclass_fields__}
        return {**fields, "parameters": self.parameters}


def shape_of(ref: str, path: Path | None) -> ModelShape:
    """The shape of a model by reference.

    Args:
        path: the local checkpoint; None if the model is not on this machine.

    Raises:
        NotFoundError: there is neither a local configuration nor an entry in the table.
        RecipeError: the memory of this kind of model is not modelled.
    """
    from lrmctl.models import config_folder

    if path is not None and (config_folder(path) / "config.json").is_file():
        file = config_folder(path) / "config.json"
        try:
            return shape_from_config(json.loads(file.read_text(encoding="utf-8")), ref, str(file))
        except ValueError as error:
            if isinstance(error, RecipeError):
                raise
            raise NotFoundError(f"the model's configuration is not JSON: {error}", str(file)) from None
    table = known_models()
    if ref in table:
        return table[ref]
    raise NotFoundError(
        f"the shape of {ref!r} is not known here",
        fix=f"download it, or copy its config.json; known: {', '.join(table)}",
    )


@cache
def known_models() -> Mapping[str, ModelShape]:
    """Shapes of some hub models, which need no download."""
    table = json.loads(_TABLE.read_text(encoding="utf-8"))
    found = {}
    for name, entry in table["models"].items():
        config = {**table["models"].get(entry.get("same_as"), {}), **entry}
        found[name] = shape_from_config(config, name, f"known_models.json ({config['source']})")
    return found


def shape_from_config(config: Mapping[str, Any], name: str, source: str) -> ModelShape:
    """The shape that a transformers config.json describes.

    Raises:
        RecipeError: mixture of experts, or an unsupported family.
    """
    if any(config.get(key) for key in _EXPERTS) or "moe" in str(config.get("model_type")):
        raise RecipeError(f"{name} is a mixture of experts, whose memory is not modelled", source)
    family = str(config.get("model_type"))
    if family not in FAMILIES:
        raise RecipeError(f"the memory of {family!r} models is not modelled", source, f"known: {', '.join(FAMILIES)}")
    try:
        return _shape(config, family, name, source)
    except KeyError as error:
        raise RecipeError(f"the configuration of {name} has no {error}", source) from None


def _shape(config: Mapping[str, Any], family: str, name: str, source: str) -> ModelShape:
    heads, hidden = int(config["num_attention_heads"]), int(config["hidden_size"])
    bias = bool(config.get("attention_bias", False))
    return ModelShape(
        name=name,
        family=family,
        layers=int(config["num_hidden_layers"]),
        hidden=hidden,
        heads=heads,
        kv_heads=int(config.get("num_key_value_heads") or heads),
        head_dim=int(config.get("head_dim") or (128 if family == "qwen3" else hidden // heads)),
        intermediate=int(config["intermediate_size"]),
        vocab=int(config["vocab_size"]),
        tied=bool(config.get("tie_word_embeddings", False)),
        max_positions=int(config.get("max_position_embeddings", 0)),
        qkv_bias=bias or family == "qwen2",  # transformers' Qwen2 always has them
        o_bias=bias and family != "qwen2",
        qk_norm=family == "qwen3",
        source=source,
    )
