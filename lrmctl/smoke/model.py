"""Creates a tiny random model of a recipe's architecture, with its tokenizer if that is on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lrmctl.errors import LrmctlError

POSITIONS = 2048
_SMALL: Mapping[str, int] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "moe_intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "num_experts": 4,
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
    "max_position_embeddings": POSITIONS,
    "max_window_layers": 2,
}
_FAMILIES = ("qwen3", "qwen2", "mistral", "llama")


def tiny_model(ref: str, out: Path, *, runs_dir: Path, seed: int) -> tuple[Path, list[str]]:
    """A tiny model for a smoke run, and sentences that describe it.

    `lab:tiny` is used as it is. Any other model keeps its architecture, with few narrow layers and random weights,
    written to `out`.
    """
    if ref == "lab:tiny":
        from lrmctl.models import resolve_model

        return resolve_model(ref, runs_dir), []
    folder = _local(ref, runs_dir)
    tokenizer, told = _tokenizer(folder)
    config, family = _config(ref, folder, tokenizer)
    _save(config, tokenizer, out, seed)
    shape = f"{config.num_hidden_layers} layers of width {config.hidden_size}, random weights"
    return out, [f"model: {ref} -> a {family} of {shape}", told]


def _local(ref: str, runs_dir: Path) -> Path | None:
    """The model's folder, if it is on this machine: a folder, a run's model, or in the hub's cache."""
    from lrmctl.models import resolve_model

    if Path(ref).expanduser().is_dir() or ref.startswith("run:"):
        return resolve_model(ref, runs_dir, whole=False)
    return _cached(ref)


def _cached(ref: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    try:
        found = try_to_load_from_cache(ref, "config.json")
    except ValueError:  # not a hub id
        return None
    return Path(found).parent if isinstance(found, str) else None


def _tokenizer(folder: Path | None) -> tuple[Any, str]:
    from lrmctl.lab import base_path
    from lrmctl.models import load_tokenizer

    why = "its own is not on this machine"
    if folder is not None:
        try:
            tokenizer = load_tokenizer(folder)
            if tokenizer.chat_template:
                return tokenizer, "tokenizer: the model's own"
            why = "its own has no chat template"
        except Exception as error:  # transformers raises many types; fall back to the lab's tokenizer
            why = f"its own cannot be read: {(str(error).splitlines() or [type(error).__name__])[0]}"
    return load_tokenizer(base_path()), f"tokenizer: the lab's, whose template opens <think> as R1's; {why}"


def _config(ref: str, folder: Path | None, tokenizer: Any) -> tuple[Any, str]:
    from transformers import AutoConfig

    from lrmctl.models import config_folder

    config = (
        AutoConfig.from_pretrained(config_folder(folder), trust_remote_code=False)
        if folder
        else AutoConfig.for_model(family_of(ref))
    )
    for key, value in _SMALL.items():
        if isinstance(getattr(config, key, None), int):
            setattr(config, key, value)
    if getattr(config, "layer_types", None):
        config.layer_types = list(config.layer_types)[: config.num_hidden_layers]
    config.vocab_size = max(len(tokenizer), tokenizer.vocab_size)
    config.eos_token_id, config.pad_token_id = tokenizer.eos_token_id, tokenizer.pad_token_id
    config.bos_token_id = tokenizer.bos_token_id
    return config, str(config.model_type)


def family_of(ref: str) -> str:
    """The architecture of a hub model, from the table of known models or from its name.

    Raises:
        LrmctlError: neither gives one.
    """
    from lrmctl.planning.model_shape import known_models

    known = known_models().get(ref)
    family = known.family if known else next((f for f in _FAMILIES if f in ref.lower().replace("-", "")), None)
    if family is None:
        raise LrmctlError(
            f"the architecture of {ref!r} is not known here",
            fix="put its config.json into a folder and name that with --model, or download the model",
        )
    return family


def _save(config: Any, tokenizer: Any, out: Path, seed: int) -> None:
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    torch.manual_seed(seed)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32)  # type: ignore[no-untyped-call]
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
