"""Finds problems with a model's folder before loading it, each as one sentence with the fix.

Reads file names, configurations and headers of weight files; loads no weights and runs no code.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, NamedTuple

from lrmctl.models.code import SWITCH, code_allowed
from lrmctl.models.files import ADAPTER_CONFIG, files_in, read_object, reader, weights_of
from lrmctl.models.import_command import import_command

Head = Literal["text", "scalar"]
"""A model's output: tokens (a causal language model), or one number (a reward model)."""

_USUAL = ("llama", "mistral", "qwen2", "qwen3")
"""Types that are known without transformers' registry, whose import takes two seconds."""
_NO_TEXT = ("ForMaskedLM", "ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering")
_NO_HEAD = ("ForPreTraining", "ForMultipleChoice", "ForNextSentencePrediction", "Model", "ForImageClassification")
_TOKENIZERS = [
    "tokenizer.json",
    "*.model",
    "vocab.json",
    "vocab.txt",
    "tekken.json",
    "*.tiktoken",
    "*.spm",
    "*.bpe",
    "tokenization_*.py",
]
_NOT_MERGED = ("PROMPT_TUNING", "PREFIX_TUNING", "P_TUNING", "MULTITASK_PROMPT_TUNING", "ADAPTION_PROMPT", "CPT")
_CHAT = "give a chat model with config.json, *.safetensors and a tokenizer"


class ModelProblem(NamedTuple):
    """What is wrong (continuing a sentence that begins with "it"), and the fix."""

    what: str
    fix: str


def problem_of(path: Path, head: Head = "text", *, whole: bool = True) -> ModelProblem | None:
    """Why a folder is not a usable model; None if it is one.

    Args:
        head: the required output.
        whole: weights and tokenizer are required; otherwise a configuration suffices, for planning.
    """
    if not path.is_dir():
        return _of_file(path)
    names = files_in(path)
    if not names:
        return ModelProblem("is an empty folder" if not any(path.iterdir()) else _nested(path), _CHAT)
    if ADAPTER_CONFIG in names and not _is_whole(path, names):
        return _of_adapter(path, head) or _of_weights(path, names)
    if "config.json" not in names:
        return _without_config(path, names)
    if ADAPTER_CONFIG in names:
        what = "holds a whole model and an adapter, and does not say which is meant"
        return ModelProblem(what, f"move {ADAPTER_CONFIG} and its weights into a folder of their own")
    found = _of_config(path, head)
    if found is None and (whole or _has_weights(names)):
        found = _of_weights(path, names)
    if found is None and whole and not has_tokenizer(names):
        fix = "copy tokenizer.json, tokenizer_config.json and the like from the model that it was trained from"
        found = ModelProblem("has no tokenizer", fix)
    return found


def has_tokenizer(names: Collection[str]) -> bool:
    """Whether these include a tokenizer file of any kind."""
    return any(fnmatchcase(name, pattern) for name in names for pattern in _TOKENIZERS)


def is_adapter(path: Path) -> bool:
    """Whether a folder contains a PEFT adapter rather than a whole model."""
    return (path / ADAPTER_CONFIG).is_file() and not _is_whole(path, files_in(path))


def _is_whole(path: Path, names: Collection[str]) -> bool:
    try:
        weights = weights_of([name for name in names if name != ADAPTER_CONFIG], reader(path))
    except ValueError:
        return True
    return weights is not None


def _has_weights(names: Collection[str]) -> bool:
    return any(name.endswith((".safetensors", ".bin", ".index.json", ".gguf", ".pth")) for name in names)


def _of_file(path: Path) -> ModelProblem:
    if path.suffix == ".gguf":
        return ModelProblem("is a GGUF file, which transformers and trainers do not run", _gguf(path))
    return ModelProblem("is a file, not a folder", f"give the folder that holds a whole model; {path.parent} may be it")


def _gguf(source: str | Path) -> str:
    server = "evaluate it behind a server (llama-server, and `engine: {use: openai, base_url: ...}`)"
    return f"{server}, or make a folder of it and give that one: {import_command(source)}"


def _nested(path: Path) -> str:
    return f"holds folders only ({', '.join(sorted(p.name for p in path.iterdir())[:3])})"


def _without_config(path: Path, names: Collection[str]) -> ModelProblem:
    inside = sorted(config.parent for config in path.glob("*/config.json"))
    inside += sorted(config.parent for config in path.glob("snapshots/*/config.json"))
    if inside and not any("/" not in name and name.endswith((".safetensors", ".gguf")) for name in names):
        return ModelProblem("has no config.json, but a folder in it has", f"give {inside[-1]}")
    if "model_index.json" in names or "modules.json" in names:
        kind = "an image model (diffusers)" if "model_index.json" in names else "a sentence encoder"
        return ModelProblem(f"is {kind}, not a causal language model", _CHAT)
    odd = [name for name in names if name not in ("model.safetensors", "pytorch_model.bin")]
    if any(fnmatchcase(name, pattern) for name in odd for pattern, _, _ in _FOREIGN):
        return without_weights(odd, path)
    return ModelProblem("has no config.json", "a checkpoint folder holds config.json, weights and a tokenizer")


_CONVERT = "give the transformers version of it, or convert it with transformers' script for this family"
_FOREIGN = (
    ("*.gguf", "holds GGUF files, which transformers and trainers do not run", ""),
    ("consolidated*", "holds weights in the format of its makers (consolidated.*), not in transformers'", _CONVERT),
    ("*.onnx", "holds ONNX files only", _CONVERT),
    ("*/*.onnx", "holds ONNX files only", _CONVERT),
    ("*.h5", "holds TensorFlow weights only", _CONVERT),
    ("*.msgpack", "holds Flax weights only", _CONVERT),
    ("*.distcp", "holds a distributed training checkpoint", "consolidate it first, e.g. with zero_to_fp32.py"),
    ("global_step*/*", "holds a DeepSpeed checkpoint", "consolidate it first with zero_to_fp32.py"),
    ("model.*.safetensors", "holds the weights in one variant only", "rename the file to model.safetensors"),
    ("*.safetensors", "holds weights under a name that nothing points to", "name them model.safetensors"),
    ("*.bin", "holds weights under a name that nothing points to", "name them pytorch_model.bin"),
    ("*.p*t*", "holds weights that transformers does not load", _CONVERT),
)


def without_weights(names: Collection[str], where: str | Path) -> ModelProblem:
    """Explain what a folder or repository without weights for transformers contains.

    Args:
        where: the folder, or the repository's id.
    """
    plain = [n for n in names if n not in ("training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth")]
    for pattern, what, fix in _FOREIGN:
        if found := [name for name in plain if fnmatchcase(name, pattern)]:
            return ModelProblem(what, fix or _gguf(f"{where}/{found[0]}"))
    fix = "a checkpoint needs model.safetensors, or its shards with their index; download or save it again"
    return ModelProblem("has no weights", fix)


def _of_config(path: Path, head: Head) -> ModelProblem | None:
    try:
        config = read_object(path / "config.json")
        if (path / "generation_config.json").is_file():
            read_object(path / "generation_config.json")
    except ValueError as error:
        return ModelProblem(f"has a damaged configuration: {error}", "download it again, or copy it from the original")
    kind = config.get("model_type")
    if not isinstance(kind, str) or not kind:
        fix = "copy config.json from the original; transformers reads the kind of the model there"
        return ModelProblem("has a config.json without model_type", fix)
    if config.get("auto_map") and (code_allowed(path) or not (kind in _USUAL or _known(kind))):
        what = f"is of the type {kind!r}, which takes the Python code in its own folder to run"
        return None if code_allowed(path) else ModelProblem(what, SWITCH)
    return _of_kind(config, kind, head)


def _of_adapter(path: Path, head: Head) -> ModelProblem | None:
    try:
        config = read_object(path / ADAPTER_CONFIG)
    except ValueError as error:
        return ModelProblem(f"is an adapter with a damaged configuration: {error}", "save or download it again")
    kind, task = str(config.get("peft_type")), config.get("task_type")
    if kind in _NOT_MERGED:
        return ModelProblem(
            f"is an adapter of the kind {kind}, which cannot be merged into its base", "train a LoRA adapter"
        )
    if head == "text" and task not in (None, "", "CAUSAL_LM"):
        return ModelProblem(f"is an adapter for the task {task}, not for a causal language model", _CHAT)
    return None


def _of_kind(config: Mapping[str, Any], kind: str, head: Head) -> ModelProblem | None:
    if kind not in _USUAL and not _known(kind):
        from transformers import __version__

        fix = "check model_type in its config.json, or upgrade transformers"
        return ModelProblem(f"is of the type {kind!r}, which transformers {__version__} does not know", fix)
    named = [str(name) for name in config.get("architectures") or ()]
    if head == "scalar":
        return None
    called = f"{named[0]} ({kind})" if named else kind
    headless = [n for n in named if n.endswith((*_NO_TEXT, *_NO_HEAD)) and not n.endswith("LMHeadModel")]
    causal = kind in _USUAL or _writes(kind, named)
    if (headless and len(headless) == len(named)) or config.get("is_encoder_decoder") or not causal:
        what = f"is a {called}, not a causal language model: it does not write text from left to right"
        return ModelProblem(what, f"{_CHAT}; what a server can run can be evaluated with `engine: openai`")
    return None


def _known(kind: str) -> bool:
    from transformers.models.auto import configuration_auto as auto

    return kind in auto.CONFIG_MAPPING_NAMES  # type: ignore[attr-defined]  # defined dynamically in the module


def _writes(kind: str, named: Collection[str]) -> bool:
    """Whether transformers has a causal language model of this type and the checkpoint is one.

    For some types it is only the decoder of another model (speech, translation); vision-language models are complete.
    """
    from transformers.models.auto import modeling_auto as auto

    causal = auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(kind)
    conditional = any(name.endswith("ForConditionalGeneration") for name in named)
    whole = kind in auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES or causal in named
    return causal is not None and (whole or not conditional)


def _of_weights(path: Path, names: Collection[str]) -> ModelProblem | None:
    try:
        weights = weights_of(names, reader(path))
    except ValueError as error:
        return ModelProblem(f"has a damaged index of its weights: {error}", "download it again")
    if weights is None:
        if ADAPTER_CONFIG in names:
            return ModelProblem("is an adapter without weights", "save or download adapter_model.safetensors again")
        return without_weights(names, path)
    if missing := [name for name in weights.files if not (path / name).is_file()]:
        what = f"lacks {missing[0]}, {len(missing)} of the {len(weights.files)} shards that {weights.index} names"
        return ModelProblem(what, "download it again; an interrupted download goes on where it was")
    for name in weights.files:
        if why := _damage(path / name):
            return ModelProblem(f"has a damaged weight file: {name} {why}", "download it again")
    return None


def _damage(file: Path) -> str:
    """Damage of a weight file that is visible without reading the weights."""
    size = file.stat().st_size
    with file.open("rb") as data:
        start = data.read(64)
        if start.startswith(b"version https://git-lfs"):
            return "is a Git LFS pointer (git lfs pull gets the file)"
        if not size:
            return "is empty"
        if file.suffix != ".safetensors":
            return "" if start[:2] in (b"PK", b"\x80\x02") else "is no file of PyTorch"
        return _safetensors_damage(start, size, file)


def _safetensors_damage(start: bytes, size: int, file: Path) -> str:
    length = int.from_bytes(start[:8], "little")
    if len(start) < 8 or length > min(size, 1 << 30):
        return "does not begin as a safetensors file does"
    try:
        ends = [int(tensor["data_offsets"][1]) for tensor in tensors_in(file).values()]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return "has a head that cannot be read"
    should = 8 + length + max(ends, default=0)
    return "" if size == should else f"has {size:,} bytes where its head says {should:,}"


def tensors_in(file: Path) -> dict[str, dict[str, Any]]:
    """Names, shapes and offsets of the tensors in a safetensors file, from its header.

    Raises:
        ValueError: the header cannot be read.
    """
    with file.open("rb") as data:
        length = int.from_bytes(data.read(8), "little")
        found = json.loads(data.read(length))
    return {name: tensor for name, tensor in found.items() if name != "__metadata__"}
