"""Which files a checkpoint consists of, by name: what is fetched from the hub, and what identifies a model.

The same rules hold for a repository on the hub and for a folder, so that both have the same fingerprint. Weights are
chosen as transformers chooses them; of everything else only what certainly plays no part is left out, because
tokenizers come in more forms than a list could name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

Reader = Callable[[str], Mapping[str, Any]]
"""The JSON object in a file of the checkpoint, by name; raises ValueError if there is none in it."""

ADAPTER_CONFIG = "adapter_config.json"
_SINGLE = ("model.safetensors", "pytorch_model.bin")
_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_ADAPTERS = ("adapter_model.safetensors", "adapter_model.bin")

_WEIGHTS = (
    "safetensors bin pt pth ckpt h5 msgpack onnx onnx_data gguf ggml ot tflite mlmodel mlpackage npz npy pkl nemo"
)
_MEDIA = "png jpg jpeg gif webp svg bmp ico mp3 mp4 wav flac ogg avi mov webm pdf ipynb html"
_ARCHIVES = "zip tar gz tgz bz2 xz zst 7z parquet arrow tfevents"
_NEVER = frozenset(f".{suffix}" for suffix in f"{_WEIGHTS} {_MEDIA} {_ARCHIVES}".split())
_FOLDERS = (
    "original",
    "metal",
    "onnx*",
    "openvino*",
    "coreml*",
    "gguf*",
    "flax*",
    "tf",
    "checkpoint-*",
    "global_step*",
)
_MORE_FOLDERS = ("runs", "logs", "wandb", "tensorboard", "images", "assets", "figures", "eval*", ".*", "__pycache__")
_IDENTITY = [
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "vocab*",
    "merges*",
    "added_tokens.json",
    "special_tokens_map.json",
    "*.model",
    "*.tiktoken",
    "*.spm",
    "*.bpe",
    "tekken.json",
    "chat_template*",
    "*.jinja",
    "*.py",
    "adapter_config.json",
]
"""Beside weights and their index: what changes a model's prompts or completions. `additional_chat_templates/` is
covered by `*.jinja`."""


@dataclass(frozen=True)
class WeightFiles:
    """The files that hold a checkpoint's weights.

    Attributes:
        index: the file that names the shards; empty for weights in one file.
    """

    files: tuple[str, ...]
    index: str = ""


def weights_of(names: Collection[str], read: Reader) -> WeightFiles | None:
    """The weights that transformers would load from a checkpoint with these files; None if it would find none.

    Raises:
        ValueError: the index of the shards cannot be read.
    """
    explicit = _explicit(names, read)
    for single, index in zip((explicit or _SINGLE[0], _SINGLE[1]), (explicit or _INDEXES[0], _INDEXES[1]), strict=True):
        if single in names and not single.endswith(".index.json"):
            return WeightFiles((single,))
        if index in names:
            return WeightFiles(_shards(index, read), index)
    adapter = next((name for name in _ADAPTERS if name in names), None)
    return WeightFiles((adapter,)) if adapter and ADAPTER_CONFIG in names else None


def _explicit(names: Collection[str], read: Reader) -> str:
    """The file that the configuration itself names, if it names one."""
    if "config.json" not in names:
        return ""
    try:
        return str(read("config.json").get("transformers_weights") or "")
    except ValueError:
        return ""


def _shards(index: str, read: Reader) -> tuple[str, ...]:
    found = read(index).get("weight_map")
    if not isinstance(found, Mapping) or not found:
        raise ValueError(f"{index} names no weights")
    return tuple(sorted({str(name) for name in found.values()}))


def wanted(names: Collection[str], read: Reader) -> list[str]:
    """The files to fetch: the weights that are loaded, and everything else but what certainly plays no part.

    Raises:
        ValueError: the index of the shards cannot be read.
    """
    weights = weights_of(names, read)
    chosen = {*weights.files, weights.index} if weights else set()
    return sorted(name for name in names if name in chosen or not _plays_no_part(name))


def _plays_no_part(name: str) -> bool:
    path = PurePosixPath(name)
    if any(fnmatchcase(part, pattern) for part in path.parts[:-1] for pattern in (*_FOLDERS, *_MORE_FOLDERS)):
        return True
    return path.suffix.lower() in _NEVER or name.endswith((".bin.index.json", ".safetensors.index.json"))


def identity_files(folder: Path) -> list[str]:
    """Names of the files in a folder that decide what the model makes of a prompt, sorted."""
    names = files_in(folder)
    try:
        weights = weights_of(names, reader(folder))
    except ValueError:
        weights = None
    chosen = {*weights.files, weights.index} & set(names) if weights else set()
    return sorted(chosen | {name for name in names if _decides(name) and not _plays_no_part(name)})


def _decides(name: str) -> bool:
    path = PurePosixPath(name)
    inside = len(path.parts) == 1 or path.suffix == ".jinja"
    return inside and any(fnmatchcase(path.name, pattern) for pattern in _IDENTITY)


def files_in(folder: Path) -> list[str]:
    """Every file of a folder, hidden ones and those of ignored folders left out, as the hub writes their names."""
    return sorted(file.relative_to(folder).as_posix() for file in _walk(folder))


def _walk(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if entry.is_file():
            yield entry
        elif entry.is_dir() and not any(fnmatchcase(entry.name, p) for p in (*_FOLDERS, *_MORE_FOLDERS)):
            yield from _walk(entry)


def reader(folder: Path) -> Reader:
    """Reads the JSON objects of a folder."""
    return lambda name: read_object(folder / name)


def read_object(file: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        ValueError: there is none in it; says why.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{file.name} cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{file.name} holds no JSON object")
    return found
