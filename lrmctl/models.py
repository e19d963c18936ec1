"""Models by reference: `lab:tiny`, a local folder, `run:NAME`, or a hub id; and what identifies a checkpoint.

Loading goes through transformers only. torch and transformers are imported inside the functions.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from lrmctl.errors import NotFoundError

_PARTS = ("*.safetensors", "*.bin", "config.json", "generation_config.json", "tokenizer*.json", "*.jinja", "*.model")


def resolve_model(ref: str, runs_dir: Path) -> Path:
    """The local folder of a model reference, absolute; a hub id is downloaded into the hub's own cache.

    Raises:
        NotFoundError: nothing by that name, or a folder that is not a checkpoint.
    """
    if ref == "lab:tiny":
        from lrmctl.lab import base_path

        return base_path()
    if ref.startswith("run:"):
        return _checkpoint(runs_dir / ref.removeprefix("run:") / "model", ref, "lrmctl run list")
    path = Path(ref).expanduser()
    if path.is_dir():
        return _checkpoint(path, ref, "a checkpoint folder holds config.json, weights and a tokenizer")
    if not is_hub_id(ref):
        raise NotFoundError(f"no model {ref!r}", fix="give a local folder, a hub id (owner/name), run:NAME or lab:tiny")
    return _download(ref)


def is_hub_id(ref: str) -> bool:
    """Whether a reference names a model on the hub, downloaded or not: no run, no local folder."""
    if ref.startswith(("run:", ".", "/", "~")) or ref.count("/") != 1:
        return False
    return not Path(ref).expanduser().is_dir()


def _checkpoint(path: Path, ref: str, hint: str) -> Path:
    if not (path / "config.json").is_file():
        raise NotFoundError(f"no model {ref!r}: there is no {path / 'config.json'}", fix=hint)
    return path.absolute()  # trainers run in a folder of their own


def _download(ref: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(ref, allow_patterns=list(_PARTS)))
    except Exception as error:  # network, gating, bad id: the hub's own words say which
        reason = str(error).strip().splitlines()[0]
        raise NotFoundError(
            f"cannot get model {ref!r} from the hub: {reason}",
            fix="check the id, `hf auth login` for gated models, or give a local folder",
        ) from error


def fingerprint(path: Path) -> str:
    """16 hex digits of sha256 over weights, configuration, tokenizer and chat template."""
    total = hashlib.sha256()
    for file in sorted({f for pattern in _PARTS for f in path.glob(pattern)}):
        with file.open("rb") as data:
            total.update(file.name.encode() + hashlib.file_digest(data, "sha256").digest())
    return total.hexdigest()[:16]


def load_tokenizer(path: Path) -> Any:
    """The checkpoint's tokenizer, with a padding token (its own end of text where it names none)."""
    tokenizer = _tokenizer_class(path).from_pretrained(path)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _tokenizer_class(path: Path) -> Any:
    """transformers' choice. For a Llama-type checkpoint that names the generic class that is known without its registry
    of all models, whose import takes two seconds; other types may get a class of their own in place of the generic."""
    named = [_read_json(path / name) for name in ("tokenizer_config.json", "config.json")]
    if (named[0].get("tokenizer_class"), named[1].get("model_type")) == ("TokenizersBackend", "llama"):
        from transformers import PreTrainedTokenizerFast

        return PreTrainedTokenizerFast
    from transformers import AutoTokenizer

    return AutoTokenizer


def _read_json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def without_bars() -> None:
    """No bars of transformers' own for weights read or written: they would tear ours apart."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def load_model(path: Path, *, dtype: str = "float32", device: str = "cpu") -> Any:
    """The causal LM in evaluation mode on `device`."""
    import torch
    from transformers import AutoModelForCausalLM

    without_bars()
    model: Any = AutoModelForCausalLM.from_pretrained(path, dtype=getattr(torch, dtype))
    return model.to(device).eval()


def eos_ids(model: Any, tokenizer: Any) -> set[int]:
    """Every token that ends a completion: the generation config's and the tokenizer's."""
    listed = model.generation_config.eos_token_id
    ids = listed if isinstance(listed, list) else [listed]
    return {i for i in [*ids, tokenizer.eos_token_id] if i is not None}
