"""Engines that answer judges' questions, by name: equal arguments share one engine and its weights.

Making an engine loads nothing and contacts nobody; `prepare()` or the first question does.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from threading import Lock
from typing import Any

from lrmctl.engines.chat import ChatEngine
from lrmctl.errors import RecipeError
from lrmctl.recipe.schema.engine_options import EngineOptions, HfOptions, OpenAiOptions, VllmOptions, engine_options

_making = Lock()


def make_engine(
    model: str, engine: str | Mapping[str, Any] = "hf", *, batch_size: int = 16, device: str = "auto"
) -> ChatEngine:
    """The engine for a model.

    Args:
        model: a local folder, a hub id, `run:NAME` or `lab:tiny`; for a server, the name that it knows the model by.
        engine: `hf`, `vllm`, `openai`, or a mapping `{use: openai, base_url: ...}`; its options are those of
            `lrmctl.recipe.schema.engine_options`.
        batch_size: questions side by side, where the engine runs in this process.
        device: `auto`, `cpu`, `cuda` or one GPU, e.g. `cuda:1`, where the engine runs in this process.

    Raises:
        RecipeError: an engine, option or value that does not exist.
    """
    if batch_size < 1:
        raise RecipeError(f"batch_size must be at least 1, not {batch_size}", "batch_size", "say 16")
    options = engine_options(engine)
    with _making:
        return _made(model, options.model_dump_json(), type(options), batch_size, device)


@lru_cache(maxsize=8)
def _made(model: str, options: str, section: type[EngineOptions], batch_size: int, device: str) -> ChatEngine:
    chosen = section.model_validate_json(options)
    if isinstance(chosen, OpenAiOptions):
        from lrmctl.engines.openai.chat import OpenAiChat

        return OpenAiChat(model, chosen)
    if isinstance(chosen, VllmOptions):
        from lrmctl.engines.vllm.chat import VllmChat

        return VllmChat(model, chosen, device=device)
    assert isinstance(chosen, HfOptions)
    from lrmctl.engines.hf.chat import HfChat

    return HfChat(
        model, batch_size=batch_size, device=device, dtype=chosen.dtype, trust_remote_code=chosen.trust_remote_code
    )
