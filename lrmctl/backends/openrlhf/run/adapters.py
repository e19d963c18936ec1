"""OpenRLHF saves only the adapter of a LoRA run; it is merged here, so that everything can load the run's model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lrmctl.errors import BackendError


def is_adapter(folder: Path) -> bool:
    return (folder / "adapter_config.json").is_file()


def merge_adapter(saved: Path, keep: Path) -> None:
    """Replace the saved adapter by the merged model; the adapter moves to `keep`.

    Args:
        saved: adapter and tokenizer; its configuration names the base.

    Raises:
        BackendError: the base or the adapter cannot be loaded.
    """
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from lrmctl.models import load_weights

    base = json.loads((saved / "adapter_config.json").read_text(encoding="utf-8"))["base_model_name_or_path"]
    try:
        whole = load_weights(AutoModelForCausalLM, Path(base), "auto")
        merged: Any = PeftModel.from_pretrained(whole, str(saved)).merge_and_unload()
    except Exception as error:  # peft and transformers raise a dozen unrelated types
        raise BackendError(f"the adapter cannot be merged into {base}: {error}", str(saved)) from error
    saved.rename(keep)
    merged.save_pretrained(saved)
    for file in keep.iterdir():
        if file.name.startswith(("tokenizer", "chat_template", "special_tokens", "vocab", "merges", "added_tokens")):
            (saved / file.name).write_bytes(file.read_bytes())
