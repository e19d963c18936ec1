"""Which files of a checkpoint to download, and which identify a model, by name.

The same rules apply to hub repositories and folders, so both have the same fingerprint. Weights are selected as
transformers does; of other files only those that are certainly irrelevant are excluded, because tokenizers come in too
many forms to list.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

Reader = Callable[[str], Mapping[str, Any]]
"""Reads the JSON object in a file of the checkpoint, by name; raises ValueError if there is none."""

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
"""Files besides weights and their index that change a model's prompts or completions. `additional_chat_templates/` is
covered by `*.jinja`."""


@dataclass(frozen=True)
class WeightFiles:
    """A checkpoint's weight files.

    Attributes:
        index: the file that lists the shards; empty for a single file.
    """

    files: tuple[str, ...]
    index: str = ""


def weights_of(names: Collection[str], read: Reader) -> WeightFiles | None:
    """The weights that transformers would load from a checkpoint with these files; None if there are none.

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
    """The weight file named in the configuration; empty if it names none."""
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
    """The files to download: the weights to load, and everything else that is not certainly irrelevant.

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
    """Sorted names of the files in a folder that determine the model's output."""
    names = files_in(folder)
    try:
        weights = weights_of(names, reader(folder))
    except ValueError:
        weights = None
    chosen = {*weights.files, weights.index} & set(names) if weights else set()
    return sorted(chosen | {name for name in names if _decides(name) and not _plays_no_part(name)})


def tokenizer_files(folder: Path) -> list[str]:
    """Sorted names of the files of a folder's tokenizer and chat templates, with code that belongs to it."""
    names = files_in(folder)
    others = ("config.json", "generation_config.json", ADAPTER_CONFIG)
    return [name for name in names if name not in others and _decides(name) and not _plays_no_part(name)]


def _decides(name: str) -> bool:
    path = PurePosixPath(name)
    inside = len(path.parts) == 1 or path.suffix == ".jinja"
    return inside and any(fnmatchcase(path.name, pattern) for pattern in _IDENTITY)


def files_in(folder: Path) -> list[str]:
    """Every file of a folder except those in hidden and ignored subfolders, named as on the hub."""
    return sorted(file.relative_to(folder).as_posix() for file in _walk(folder))


def _walk(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if entry.is_file():
            yield entry
        elif entry.is_dir() and not any(fnmatchcase(entry.name, p) for p in (*_FOLDERS, *_MORE_FOLDERS)):
            yield from _walk(entry)


def reader(folder: Path) -> Reader:
    """A `Reader` for the JSON files of a folder."""
    return lambda name: read_object(folder / name)


def read_object(file: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        ValueError: there is none; says why.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{file.name} cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{file.name} holds no JSON object")
    return found
