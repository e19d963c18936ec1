"""The factory of engines. Making one loads and contacts nothing; `prepare()` or the first request does."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

from lrmctl.engines.base import Engine, Rendering
from lrmctl.errors import PluginError, RecipeError
from lrmctl.hooks import registry
from lrmctl.recipe.schema.decoding import Decoding, DefaultDecoding
from lrmctl.recipe.schema.engines import (
    EngineOptions,
    HfOptions,
    OpenAiOptions,
    PluginEngineOptions,
    check_plugin_engine,
    engine_options,
    judge_engine_options,
)

PLAIN = Rendering()
_making = Lock()


def make_engine(
    model: Path | str,
    options: EngineOptions,
    *,
    batch_size: int | None = None,
    rendering: Rendering = PLAIN,
    decoding: Decoding = DefaultDecoding(),
    shared: bool = False,
) -> Engine:
    """The engine for a model.

    Args:
        model: a checkpoint's folder; as text also a hub id, `run:NAME` or `lab:tiny`, or the model's name on the
            servers.
        batch_size: completions per batch in this process; None fits it to the free memory.
        rendering: how messages are rendered, besides the model's own template.
        decoding: how thinking is controlled.
        shared: share the weights with other shared engines of this process.

    Raises:
        RecipeError: something that the engine cannot do, e.g. a decoding mode where the server renders the prompts.
        PluginError: a plugin's engine cannot be made, or is none.
    """
    engine = _plain(model, options, batch_size, rendering, shared)
    if isinstance(decoding, DefaultDecoding):
        return engine
    if isinstance(options, OpenAiOptions) and options.api == "chat":
        what = f"the decoding mode {decoding.mode!r} begins or cuts the thinking, and a chat server renders by itself"
        raise RecipeError(what, "engine.api", "say `api: completions` and name the model's `tokenizer:`")
    from lrmctl.engines.decoding.engine import steered

    return steered(engine, decoding)


def builtin_factory(name: str) -> Callable[..., Engine]:
    """The factory of a built-in engine, as the registry knows it: `options` are the keys of its section."""

    def factory(model: Path | str, *, rendering: Rendering, batch_size: int | None, **options: Any) -> Engine:
        return make_engine(model, engine_options({"use": name, **options}), batch_size=batch_size, rendering=rendering)

    return factory


def judge_engine(
    model: str,
    engine: str | Mapping[str, Any] = "hf",
    *,
    batch_size: int = 16,
    device: str = "auto",
    template_args: Mapping[str, Any] | None = None,
) -> Engine:
    """The engine of a judge or reward: equal arguments give the same engine, and other batch sizes share its weights.

    Args:
        model: a local folder, a hub id, `run:NAME` or `lab:tiny`; for a server, the model's name there.
        engine: `hf`, `vllm`, `openai`, or a mapping `{use: openai, base_url: ...}`; its options are those of
            `lrmctl.recipe.schema.engines`.
        batch_size: questions per batch, if the engine runs in this process.
        device: `auto`, `cpu`, `cuda` or one GPU, e.g. `cuda:1`, if the engine runs in this process.
        template_args: for the model's chat template, where its own prompts are rendered; questions bring theirs.

    Raises:
        RecipeError: an unknown engine or option, or an invalid value.
    """
    if batch_size < 1:
        raise RecipeError(f"batch_size must be at least 1, not {batch_size}", "batch_size", "say 16")
    options = judge_engine_options(engine)
    if device != "auto":
        options = _on(options, device)
    with _making:
        args = json.dumps(template_args or {}, sort_keys=True)
        return _judge_engine(model, options.model_dump_json(), type(options), batch_size, args)


def _on(options: EngineOptions, device: str) -> EngineOptions:
    """The options, with the judge's own option `device`."""
    if isinstance(options, OpenAiOptions):
        return options
    if isinstance(options, PluginEngineOptions):
        what = f"the engine {options.use!r} is from a plugin, and cannot be put on {device!r} from outside"
        raise RecipeError(what, "device", "leave `device` out; the engine may have an option for it")
    if isinstance(options, HfOptions):
        if options.device not in ("auto", device):
            what = f"the judge is put on {device!r}, and its engine on {options.device!r}"
            raise RecipeError(what, "engine.device", "say one of the two")
        if options.workers != 1 and ":" in device:
            what = f"the judge is put on {device!r}, one GPU, and its engine has workers: {options.workers}"
            raise RecipeError(what, "engine.workers", "say `workers: 1`, or `device: cuda`")
        return options.model_copy(update={"device": device})
    if device not in ("cuda", "cpu"):
        fix = "choose GPUs with the environment variable CUDA_VISIBLE_DEVICES, or use the engine hf or openai"
        raise RecipeError(f"the engine 'vllm' cannot be put on {device!r}", "device", fix)
    return options


@lru_cache(maxsize=8)
def _judge_engine(model: str, options: str, section: type[EngineOptions], batch_size: int, args: str) -> Engine:
    rendering = Rendering(template_args=json.loads(args))
    how = section.model_validate_json(options)
    return make_engine(model, how, batch_size=batch_size, rendering=rendering, shared=True)


def _plain(
    model: Path | str, options: EngineOptions, batch_size: int | None, rendering: Rendering, shared: bool
) -> Engine:
    if isinstance(options, HfOptions):
        return _hf(model, options, batch_size, rendering, shared)
    if isinstance(options, OpenAiOptions):
        from lrmctl.engines.openai.engine import OpenAiEngine

        return OpenAiEngine(options.model or str(model), options, rendering=rendering)
    if isinstance(options, PluginEngineOptions):
        return _of_a_plugin(model, options, batch_size, rendering)
    from lrmctl.engines.vllm.engine import VllmEngine

    return VllmEngine(model, options, batch_size=None if shared else batch_size, rendering=rendering)


def _of_a_plugin(
    model: Path | str, options: PluginEngineOptions, batch_size: int | None, rendering: Rendering
) -> Engine:
    check_plugin_engine(options.use, options.options)
    made = registry.make(
        "engine", options.use, model=model, rendering=rendering, batch_size=batch_size, **options.options
    )
    if not isinstance(made, Engine):
        what = f"the engine {options.use!r} is a {type(made).__name__}, not a lrmctl.engines.Engine"
        raise PluginError(what, "engine.use", "derive it from lrmctl.engines.Engine")
    return made


def _hf(model: Path | str, options: HfOptions, batch_size: int | None, rendering: Rendering, shared: bool) -> Engine:
    from lrmctl.engines.hf.engine import HfEngine
    from lrmctl.engines.spread import SpreadEngine, crew_of

    settings: dict[str, Any] = {
        "batch_size": batch_size,
        "dtype": options.dtype,
        "rendering": rendering,
        "trust_remote_code": options.trust_remote_code,
    }
    if crew := crew_of(options.workers, options.device):
        return SpreadEngine(HfEngine, model, settings, crew)
    return HfEngine(model, device=options.device, shared=shared, **settings)
