"""Loads tokenizers and weights, through transformers only and without running code that the user does not trust.

Adapters are loaded as whole models. torch and transformers are imported inside the functions.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection
from functools import wraps
from pathlib import Path
from threading import RLock
from typing import Any, TypeVar, cast

from lrmctl.errors import LrmctlError, NotFoundError
from lrmctl.models.adapter import merge, tensors_of
from lrmctl.models.code import code_allowed
from lrmctl.models.end_of_text import turn_end
from lrmctl.models.files import files_in, read_object
from lrmctl.models.folder import has_tokenizer, is_adapter
from lrmctl.models.resolve import base_of

_TOLD_OF_LENGTH = "sequence-length-is-longer-than-the-specified-maximum"
"""Key that silences transformers' warning about long texts. Code that runs a model reports what does not fit; a text
that is only counted or truncated may have any length."""

_LOADING = RLock()
"""Serializes loading: transformers imports its modules lazily, and two threads doing so at the same time may see a
partly initialized module. A judge and a token counter load in separate threads."""
F = TypeVar("F", bound=Callable[..., Any])


def _alone(load: F) -> F:
    """Allow one load at a time in this process."""

    @wraps(load)
    def held(*args: Any, **options: Any) -> Any:
        with _LOADING:
            return load(*args, **options)

    return cast("F", held)


@_alone
def load_tokenizer(path: Path) -> Any:
    """The checkpoint's tokenizer, with a padding token (its end-of-text token if it has none).

    Raises:
        NotFoundError: it cannot be loaded.
    """
    if is_adapter(path) and not has_tokenizer(files_in(path)):
        return load_tokenizer(base_of(path))
    try:
        tokenizer = _tokenizer_class(path).from_pretrained(path, trust_remote_code=code_allowed(path))
    except Exception as error:  # transformers raises many unrelated types for a broken folder
        fix = "copy the tokenizer's files from the model that it was trained from, or download the model again"
        raise NotFoundError(f"the model's tokenizer cannot be loaded: {_reason(error)}", str(path), fix) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.deprecation_warnings[_TOLD_OF_LENGTH] = True
    return tokenizer


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _tokenizer_class(path: Path) -> Any:
    """The tokenizer class, as transformers chooses it.

    For a Llama-type checkpoint with the generic class it is known without `AutoTokenizer`, whose registry takes two
    seconds to import; for other types transformers may replace the generic class by a specific one.
    """
    named = [_read_json(path / name) for name in ("tokenizer_config.json", "config.json")]
    if (named[0].get("tokenizer_class"), named[1].get("model_type")) == ("TokenizersBackend", "llama"):
        from transformers import PreTrainedTokenizerFast

        return PreTrainedTokenizerFast
    from transformers import AutoTokenizer

    return AutoTokenizer


def _read_json(file: Path) -> dict[str, Any]:
    try:
        return read_object(file)
    except ValueError:
        return {}


def without_progress_bars() -> None:
    """Disable transformers' progress bars for reading and writing weights, which would break ours."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


@_alone
def load_model(path: Path, *, dtype: str = "float32", device: str = "cpu") -> Any:
    """The causal LM in evaluation mode on `device`.

    Args:
        dtype: name of a torch dtype, or `auto` for the checkpoint's.

    Raises:
        LrmctlError: it cannot be loaded, or weights that it needs are missing.
    """
    from transformers import AutoModelForCausalLM

    return load_weights(AutoModelForCausalLM, path, dtype).to(device).eval()


@_alone
def load_weights(kind: Any, path: Path, dtype: str, *, brought: Collection[str] = (), **options: Any) -> Any:
    """Load a model with one of transformers' `Auto` classes, on CPU.

    Missing weights are an error, because transformers would initialize them randomly.

    Args:
        brought: names of weights that an adapter provides.

    Raises:
        LrmctlError: it cannot be loaded, or weights that it needs are missing.
    """
    import torch

    if is_adapter(path):
        brought = tensors_of(path)
        scores = [int(shape[0]) for name, shape in brought.items() if name.endswith("score.weight")]
        options = {"num_labels": scores[0], **options} if scores else options
        return merge(load_weights(kind, base_of(path), dtype, brought=tuple(brought), **options), path)
    without_progress_bars()
    wanted = dtype if dtype == "auto" else getattr(torch, dtype)
    try:
        model, info = kind.from_pretrained(
            path, dtype=wanted, trust_remote_code=code_allowed(path), output_loading_info=True, **options
        )
    except (MemoryError, KeyboardInterrupt):
        raise
    except Exception as error:  # transformers, safetensors and torch raise many unrelated types
        fix = "download or save the model again; the reason is the library's own"
        raise LrmctlError(f"the model cannot be loaded: {_reason(error)}", str(path), fix) from error
    lost = sorted(map(str, info.get("missing_keys", ())))
    if missing := [name for name in lost if not any(other.endswith(f".{name}") for other in brought)]:
        what = f"the model's weights are incomplete: {len(missing)} are missing, such as {missing[0]}"
        raise LrmctlError(what, str(path), "they would be random numbers; download or save the model again")
    _check_unused(model, sorted(map(str, info.get("unexpected_keys", ()))), path)
    return model


def _check_unused(model: Any, unused: list[str], path: Path) -> None:
    """Check weights that the model does not use: image towers may be unused, layers may not."""
    if not unused:
        return
    what = f"{len(unused)} weights have no place in the model that config.json describes, such as {unused[0]}"
    if 2 * len(unused) > len(list(model.parameters())):
        raise LrmctlError(what, str(path), "config.json is not that of these weights; download the model again")
    warnings.warn(f"{path}: {what}; they are not used", stacklevel=2)


def eos_ids(model: Any, tokenizer: Any) -> set[int]:
    """Ids of all tokens that end a completion: of generation config, tokenizer, and the template's end of turn."""
    listed = model.generation_config.eos_token_id
    ids = listed if isinstance(listed, list) else [listed]
    end = turn_end(tokenizer)
    after = tokenizer.convert_tokens_to_ids(end) if end else None
    return {i for i in [*ids, tokenizer.eos_token_id, after] if i is not None}
