"""Mean hidden states of a model over the tokens of judged texts, each after its prompt.

The prompt is rendered by the model's chat template, or written before the text if it has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lrmctl.errors import LrmctlError
from lrmctl.judges.fitted.manifest import HiddenSettings
from lrmctl.types import Prompt

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lrmctl.engines.base import Engine

    Matrix = NDArray[np.float64]

PROMPT_TOKENS, RESPONSE_TOKENS = 32, 96
CHARS_PER_TOKEN = 4


def hidden_settings(named: str, engine: Engine, layer: int = -1) -> HiddenSettings:
    """The settings of a new judge.

    Args:
        named: the model as the user named it.
        layer: counted from the end if negative.

    Raises:
        LrmctlError: no such model.
    """
    engine.require("mean_hidden_states")
    engine.check()
    return HiddenSettings(named, engine.fingerprint, layer, PROMPT_TOKENS, RESPONSE_TOKENS)


def mean_states(engine: Engine, pairs: Sequence[tuple[str, str]], settings: HiddenSettings) -> Matrix:
    """[texts, hidden size] of (prompt, response).

    Raises:
        LrmctlError: no such layer.
    """
    import numpy as np

    ids = [_ids(engine, prompt, response, settings) for prompt, response in pairs]
    return np.asarray(engine.mean_hidden_states(ids, settings.layer), dtype=np.float64)


def _ids(engine: Engine, prompt: str, response: str, settings: HiddenSettings) -> tuple[list[int], list[int]]:
    def encoded(text: str) -> list[int]:
        return list(engine.tokenizer.encode(text, add_special_tokens=False))

    before, text = encoded(_rendered(engine, prompt)), encoded(response)
    return before[-settings.prompt_tokens :], text[: settings.response_tokens]


def _rendered(engine: Engine, prompt: str) -> str:
    try:
        return engine.render(Prompt.user("judged", prompt, "harmful"))
    except LrmctlError:  # a base model has no chat template
        return f"{prompt}\n\n"
