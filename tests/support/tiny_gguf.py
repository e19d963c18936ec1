"""A checkpoint of Llama's kind as a GGUF file, as llama.cpp's converter would write it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from safetensors.numpy import load_file

from lrmctl.lab import base_path

_PARTS = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def write_gguf(
    path: Path,
    folder: Path | None = None,
    *,
    kind: str = "F32",
    architecture: str = "llama",
    template: str | None = "",
    **fields: Any,
) -> Path:
    """Write a GGUF file.

    Args:
        folder: the checkpoint; the lab's by default.
        kind: type of the matrices, e.g. Q8_0.
        template: None for none, empty for the checkpoint's.
        fields: more keys, with `__` for the dots, such as `general__license`.
    """
    folder = folder or base_path()
    config = json.loads((folder / "config.json").read_text())
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_vocab_size(config["vocab_size"])
    _tokenizer(writer, json.loads((folder / "tokenizer.json").read_text()), fields)
    if template is not None:
        writer.add_chat_template(template or (folder / "chat_template.jinja").read_text())
    for key, value in fields.items():
        add = writer.add_uint32 if isinstance(value, int) else writer.add_string
        add(key.replace("__", "."), value)
    for name, weight in load_file(folder / "model.safetensors").items():
        _tensor(writer, name, weight, config, gguf.GGMLQuantizationType[kind])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _tokenizer(writer: Any, tokenizer: dict[str, Any], fields: dict[str, Any]) -> None:
    added = {token["id"]: token for token in tokenizer["added_tokens"]}
    words = {id: word for word, id in tokenizer["model"]["vocab"].items()}
    words |= {id: token["content"] for id, token in added.items()}
    kinds = [(3 if added[i]["special"] else 4) if i in added else 1 for i in range(len(words))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(fields.pop("pre", "llama-bpe"))
    writer.add_token_list([words[i] for i in range(len(words))])
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(merge) for merge in tokenizer["model"]["merges"]])
    writer.add_eos_token_id(fields.pop("eos", 2))
    writer.add_pad_token_id(0)


def _tensor(writer: Any, name: str, weight: Any, config: dict[str, Any], kind: Any) -> None:
    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    for part, n in heads.items():
        if part in name:  # llama.cpp rotates neighbouring dimensions
            weight = weight.reshape(n, 2, weight.shape[0] // n // 2, *weight.shape[1:]).swapaxes(1, 2)
            weight = weight.reshape(-1, weight.shape[-1])
    if weight.ndim == 1 or kind.name == "F32":
        writer.add_tensor(_name(name), np.ascontiguousarray(weight, dtype=np.float32))
    else:
        writer.add_tensor(_name(name), gguf.quantize(np.ascontiguousarray(weight), kind), raw_dtype=kind)


def _name(name: str) -> str:
    whole = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}
    whole["lm_head.weight"] = "output.weight"
    if name in whole:
        return whole[name]
    _, _, layer, part = name.removesuffix(".weight").split(".", 3)
    return f"blk.{layer}.{_PARTS[part]}.weight"
