"""How thinking is steered while an evaluation draws completions. Words only: who carries them out is `engines.modes`.

`decoding: zero-think` is short for `decoding: {mode: zero-think}`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from lrmctl.recipe.sections import Section


class DefaultDecoding(Section):
    """The model thinks as it likes."""

    mode: Literal["default"] = "default"


def _by_name(given: Any) -> Any:
    return {"mode": given} if isinstance(given, str) else given


Decoding = Annotated[DefaultDecoding, Field(), BeforeValidator(_by_name)]
"""A mode by name, or a mapping with `mode:`."""
