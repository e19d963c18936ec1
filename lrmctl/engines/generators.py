"""The engine of an evaluation, from a recipe's words. Making one loads nothing and contacts nobody."""

from __future__ import annotations

from pathlib import Path

from lrmctl.engines.requests import Engine, Rendering
from lrmctl.recipe.decoding import Decoding, DefaultDecoding
from lrmctl.recipe.generators import GeneratorOptions, HfGenerator, OpenAiGenerator

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
    del decoding
    if isinstance(options, HfGenerator):
        from lrmctl.engines.hf import HfEngine

        return HfEngine(
            Path(model), batch_size=batch_size or 64, device=options.device, dtype=options.dtype, rendering=rendering
        )
    if isinstance(options, OpenAiGenerator):
        raise NotImplementedError("openai")
    raise NotImplementedError("vllm")
