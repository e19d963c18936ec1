"""The engine of an evaluation, from a recipe's words. Making one loads nothing and contacts nobody."""

from __future__ import annotations

from pathlib import Path

from lrmctl.engines.requests import Engine, Rendering
from lrmctl.errors import RecipeError
from lrmctl.recipe.schema.decoding import Decoding, DefaultDecoding
from lrmctl.recipe.schema.generators import GeneratorOptions, HfGenerator, OpenAiGenerator

PLAIN = Rendering()


def make_generator(
    model: Path | str,
    options: GeneratorOptions,
    *,
    batch_size: int | None = None,
    rendering: Rendering = PLAIN,
    decoding: Decoding = DefaultDecoding(),
) -> Engine:
    """The engine that completes prompts.

    Args:
        model: a checkpoint's folder; for servers, the name that they know the model by.
        batch_size: completions side by side in this process; None goes by the memory that is free.

    Raises:
        RecipeError: what the engine cannot do, e.g. a decoding mode where the server renders the prompts.
    """
    engine = _plain(model, options, batch_size, rendering)
    if isinstance(decoding, DefaultDecoding):
        return engine
    if isinstance(options, OpenAiGenerator) and options.api == "chat":
        what = f"the decoding mode {decoding.mode!r} begins or cuts the thinking, and a chat server renders by itself"
        raise RecipeError(what, "engine.api", "say `api: completions` and name the model's `tokenizer:`")
    from lrmctl.engines.decoding.engine import steered

    return steered(engine, decoding)


def _plain(model: Path | str, options: GeneratorOptions, batch_size: int | None, rendering: Rendering) -> Engine:
    if isinstance(options, HfGenerator):
        from lrmctl.engines.hf.engine import HfEngine

        where = {"device": options.device, "dtype": options.dtype}
        return HfEngine(Path(model), batch_size=batch_size, rendering=rendering, **where)
    if isinstance(options, OpenAiGenerator):
        from lrmctl.engines.openai.engine import OpenAiEngine

        return OpenAiEngine(str(model), options, rendering=rendering)
    from lrmctl.engines.vllm.engine import VllmEngine

    return VllmEngine(Path(model), options, batch_size=batch_size, rendering=rendering)
