"""PEFT adapters: a folder with adapter_config.json and only the adapter's weights, for a base that it names.

An adapter is loaded as a whole model, merged into its base in memory. The configuration names the base as a folder or
hub id; the reference `BASE+ADAPTER` overrides it.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from lrmctl.errors import LrmctlError, NotFoundError
from lrmctl.models.files import ADAPTER_CONFIG, files_in, read_object
from lrmctl.models.folder import tensors_in
from lrmctl.models.import_command import import_command

_KEY = "base_model_name_or_path"


def base_name(path: Path) -> str:
    """The name of the base in an adapter's configuration.

    Raises:
        NotFoundError: it names none, or is damaged.
    """
    try:
        named = read_object(path / ADAPTER_CONFIG).get(_KEY)
    except ValueError as error:
        raise NotFoundError(f"the adapter's configuration is damaged: {error}", str(path)) from None
    if not isinstance(named, str) or not named:
        raise NotFoundError("the adapter does not name its base", str(path / ADAPTER_CONFIG), how_to_name_base(path))
    return named


def how_to_name_base(path: Path) -> str:
    """The fix for a missing or wrong base of an adapter."""
    said = f"name the base: BASE+{path} in place of {path}, where BASE is a folder, run:NAME or a hub id"
    return f"{said}; to write the whole model once: {import_command(f'BASE+{path}')}"


def with_base(adapter: Path, base: Path) -> Path:
    """A folder in the user's cache with the same adapter for another base; it links to the adapter's files."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "lrmctl" / "adapters"
    folder = cache / hashlib.sha256(f"{adapter}\n{base}".encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    for name in files_in(adapter):
        link = folder / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        if name != ADAPTER_CONFIG:
            link.symlink_to((adapter / name).absolute())
    config = {**read_object(adapter / ADAPTER_CONFIG), _KEY: str(base)}
    (folder / ADAPTER_CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return folder


def merge(base: Any, path: Path) -> Any:
    """The base's model with the adapter merged in.

    Raises:
        LrmctlError: peft is not installed, or the adapter does not fit the base.
    """
    try:
        from peft import PeftModel
    except ImportError as error:
        fix = f"pip install peft; to write the whole model once, where peft is: {import_command(path)}"
        raise LrmctlError("an adapter needs the package peft, which is not installed", str(path), fix) from error
    try:
        if rows := _rows_of_embedding(path):
            base.resize_token_embeddings(rows)
        return PeftModel.from_pretrained(base, str(path)).merge_and_unload()
    except Exception as error:  # peft raises many unrelated types
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        what = f"the adapter cannot be merged into {base_name(path)}: {reason}"
        raise LrmctlError(what, str(path), f"is that its base? {how_to_name_base(path)}") from error


def tensors_of(path: Path) -> dict[str, list[int]]:
    """Names and shapes of an adapter's weights; empty if they are not in safetensors format."""
    file = path / "adapter_model.safetensors"
    return {name: tensor.get("shape") or [0] for name, tensor in tensors_in(file).items()} if file.is_file() else {}


def _rows_of_embedding(path: Path) -> int:
    """Rows of the adapter's own embedding, which it has if the vocabulary was enlarged; 0 if it has none."""
    shapes = tensors_of(path)
    ends = ("embed_tokens.weight", "wte.weight", "lm_head.weight")
    return max((int(shape[0]) for name, shape in shapes.items() if name.endswith(ends)), default=0)
