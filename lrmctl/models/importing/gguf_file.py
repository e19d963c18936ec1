"""Reads GGUF files: metadata and tokenizer as the file states them, weights through transformers.

transformers' own conversion of the tokenizer is not used for byte-level BPE: it takes the beginning-of-text token as
the end of text, splits every text as GPT-2 does, and does not know the tokens that users defined, such as `<think>`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrmctl.errors import LrmctlError, NotFoundError
from lrmctl.models.importing.pre_tokenizers import BEGINS_WITH_BOS, WHOLE_WORDS, known, normalizer, pre_tokenizer
from lrmctl.models.load import load_weights

_CONTROL, _USER_DEFINED = 3, 4
"""Values of `tokenizer.ggml.token_type`."""
_T = "tokenizer.ggml."
_PRECISE = ("F32", "F16", "BF16", "F64")
_DAMAGED = "download it again; an interrupted download leaves such a file"


@dataclass(frozen=True)
class GgufFile:
    """A GGUF file's metadata.

    Attributes:
        fields: every key with its value.
        types: the tensors' types, e.g. Q4_1, with how many there are of each.
    """

    path: Path
    fields: Mapping[str, Any]
    types: Mapping[str, int]

    @property
    def quantized(self) -> bool:
        """Whether some of the weights are quantized."""
        return not set(self.types) <= set(_PRECISE)

    @property
    def dtype(self) -> str:
        """The torch dtype that holds all weights exactly; float32 for quantized ones."""
        large = {"BF16": "bfloat16", "F16": "float16"}
        named = {large.get(name, "float32") for name in self.types if name not in ("F32", "F64")}
        return named.pop() if len(named) == 1 else "float32"

    @property
    def end_ids(self) -> list[int]:
        """Ids of the tokens that the file names as ends of text, of a turn and of a message."""
        listed = [self.fields.get(f"{_T}{key}_token_id") for key in ("eos", "eot", "eom")]
        return list(dict.fromkeys(int(i) for i in listed if isinstance(i, int)))

    @property
    def rule(self) -> str:
        """Name of the rule that splits a text before merging; empty if the tokenizer has none."""
        return str(self.fields.get(f"{_T}pre") or "default") if self.fields.get(f"{_T}model") == "gpt2" else ""


def read_gguf(path: Path) -> GgufFile:
    """Read a file's metadata.

    Raises:
        LrmctlError: the package gguf is missing, or the file is damaged, split or no language model.
    """
    reader_class = _reader_class(path)
    try:
        reader = reader_class(path)
        fields = {key: field.contents() for key, field in reader.fields.items()}
        kinds = [tensor.tensor_type.name for tensor in reader.tensors]
    except (MemoryError, OSError):
        raise
    except Exception as error:  # the package raises many unrelated types for a damaged file
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise NotFoundError(f"the GGUF file cannot be read: {reason}", str(path), _DAMAGED) from error
    if int(fields.get("split.count") or 1) > 1:
        fix = "join the parts with `llama-gguf-split --merge FIRST_PART OUT.gguf`, and import that file"
        raise NotFoundError("is one part of a GGUF file that was split", str(path), fix)
    if "general.architecture" not in fields or f"{_T}tokens" not in fields:
        what = "holds no language model with a tokenizer"
        raise NotFoundError(what, str(path), "give the GGUF file of the model itself, not one of an image or a LoRA")
    return GgufFile(path, fields, {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)})


def _reader_class(path: Path) -> Any:
    try:
        from gguf import GGUFReader
    except ImportError as error:
        what = "a GGUF file needs the package gguf, which is not installed"
        raise LrmctlError(what, str(path), "pip install 'lrmctl[gguf]' (or pip install gguf)") from error
    return GGUFReader


def tokenizer_of(file: GgufFile) -> Any:
    """The file's tokenizer, with the special tokens and the chat template that it states.

    Raises:
        LrmctlError: transformers does not know this kind of tokenizer.
    """
    from transformers import PreTrainedTokenizerFast

    core = _byte_level(file) if file.rule else _converted(file)
    _add_tokens(core, file)
    named = {name: _named(file, key) for name, key in _SPECIAL.items()}
    adds = {
        key: bool(file.fields[f"{_T}{key}"])
        for key in ("add_bos_token", "add_eos_token")
        if f"{_T}{key}" in file.fields
    }
    tokenizer: Any = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers has no type there
        tokenizer_object=core,
        clean_up_tokenization_spaces=False,
        **{"add_bos_token": _begins_with_bos(file), **adds},
        **{name: token for name, token in named.items() if token is not None},
    )
    if length := file.fields.get(f"{file.fields['general.architecture']}.context_length"):
        tokenizer.model_max_length = int(length)
    tokenizer.chat_template = file.fields.get("tokenizer.chat_template")
    tokenizer.name_or_path = str(file.path)
    return tokenizer


_SPECIAL = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}


def _named(file: GgufFile, key: str) -> str | None:
    tokens, id = file.fields[f"{_T}tokens"], file.fields.get(f"{_T}{key}_token_id")
    return str(tokens[id]) if isinstance(id, int) and 0 <= id < len(tokens) else None


def _begins_with_bos(file: GgufFile) -> bool:
    """Whether llama.cpp puts the beginning of text before every text if the file does not say so."""
    return _named(file, "bos") is not None and (not file.rule or file.rule in BEGINS_WITH_BOS)


def _byte_level(file: GgufFile) -> Any:
    from tokenizers import Tokenizer, decoders, models

    vocabulary = {token: i for i, token in enumerate(file.fields[f"{_T}tokens"])}
    merges = [tuple(merge.split(" ", 1)) for merge in file.fields.get(f"{_T}merges") or ()]
    core: Any = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=file.rule in WHOLE_WORDS))
    core.pre_tokenizer = pre_tokenizer(file.rule)
    if change := normalizer(file.rule):
        core.normalizer = change
    core.decoder = decoders.ByteLevel()
    return core


def _converted(file: GgufFile) -> Any:
    """A SentencePiece tokenizer, as transformers converts it."""
    from transformers.integrations.ggml import GGUF_TO_FAST_CONVERTERS, convert_gguf_tokenizer
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    try:
        stated = load_gguf_checkpoint(str(file.path))  # type: ignore[no-untyped-call]  # nor there
        kind = stated["config"]["model_type"]
        if kind not in GGUF_TO_FAST_CONVERTERS:
            raise ValueError(f"transformers converts no tokenizer of the type {kind!r} from GGUF")
        return convert_gguf_tokenizer(kind, stated["tokenizer"])[0]
    except (MemoryError, OSError):
        raise
    except Exception as error:
        raise _not_converted("tokenizer", error, file) from error


def _add_tokens(core: Any, file: GgufFile) -> None:
    """Mark the file's control tokens as special, and its user-defined tokens as never split."""
    from tokenizers import AddedToken

    kinds = file.fields.get(f"{_T}token_type") or ()
    for i, (token, kind) in enumerate(zip(file.fields[f"{_T}tokens"], kinds, strict=False)):
        if kind in (_CONTROL, _USER_DEFINED) and core.token_to_id(token) == i:
            special = kind == _CONTROL
            (core.add_special_tokens if special else core.add_tokens)(
                [AddedToken(token, normalized=False, special=special)]
            )


def notes_of(file: GgufFile) -> list[str]:
    """Sentences on what the file loses against the original model."""
    said = []
    if file.quantized:
        listed = ", ".join(f"{n} {name}" for name, n in file.types.items())
        said.append(f"the weights were quantized ({listed} tensors): they are not the original model's")
    if file.rule and not known(file.rule):
        said.append(
            f"texts are split by the rule {file.rule!r} (tokenizer.ggml.pre), which is not known here and replaced by "
            "GPT-2's: numbers and code may become other tokens; take tokenizer.json from the original model"
        )
    return said


def weights_of_file(file: GgufFile, dtype: str) -> Any:
    """The causal LM on CPU in evaluation mode, dequantized.

    Raises:
        LrmctlError: transformers does not convert this architecture, or weights are missing.
    """
    from transformers import AutoModelForCausalLM

    # in a folder of its own, so that no other file beside it is read
    with tempfile.TemporaryDirectory(prefix="lrmctl-gguf-") as folder, _without_bar():
        (Path(folder) / "model.gguf").symlink_to(file.path.absolute())
        try:
            model = load_weights(AutoModelForCausalLM, Path(folder), dtype, gguf_file="model.gguf")
        except LrmctlError as error:
            if isinstance(error.__cause__, OSError | None):
                raise LrmctlError(error.what, str(file.path), error.fix) from error
            raise _not_converted("model", error.__cause__ or error, file) from error
    return model.eval()


@contextmanager
def _without_bar() -> Iterator[None]:
    """Without the progress bar of transformers' dequantization, which no setting turns off."""
    from functools import partial
    from importlib import import_module

    module: Any = import_module("transformers.modeling_gguf_pytorch_utils")
    bar = module.tqdm
    module.tqdm = partial(bar, disable=True)
    try:
        yield
    finally:
        module.tqdm = bar


def _not_converted(what: str, error: BaseException, file: GgufFile) -> LrmctlError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    fix = "import the original model in place of the GGUF file, or evaluate the file behind a server (llama-server)"
    kind = file.fields["general.architecture"]
    return LrmctlError(f"the {what} of this GGUF file ({kind}) cannot be converted: {reason}", str(file.path), fix)
