"""What a recipe may say of how a model writes its thought. By default it is found out; see `lrmctl.thinking`.

`thinking: magistral` is short for `thinking: {format: magistral}`; `thinking: off` says that the model does not think.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from lrmctl.errors import LrmctlError
from lrmctl.recipe.schema.sections import Section
from lrmctl.thinking import Override, format_of_override


class ThinkingMarkers(Section):
    """A format by name, or two markers."""

    format: str | None = None
    """A name of `lrmctl plugin list thinking-format`."""
    open: Annotated[str, Field(min_length=1)] | None = None
    """What the model writes before its thought."""
    close: Annotated[str, Field(min_length=1)] | None = None
    """What it writes after it."""

    @model_validator(mode="after")
    def _names_a_format(self) -> Self:
        if self.format is not None and (self.open is not None or self.close is not None):
            raise ValueError("give `format`, or `open` and `close`, not both")
        if self.format is None and (self.open is None or self.close is None):
            raise ValueError("give `format`, or both `open` and `close`")
        try:
            format_of_override(override_of(self))
        except LrmctlError as error:
            raise ValueError(f"{error.what}{f' ({error.fix})' if error.fix else ''}") from None
        return self


def _short(given: Any) -> Any:
    if given is False:  # YAML's own reading of `off`
        return "off"
    if given in ("off", "auto", None):
        return None if given == "auto" else given
    return {"format": given} if isinstance(given, str) else given


ThinkingOption = Annotated[Literal["off"] | ThinkingMarkers | None, BeforeValidator(_short)]
"""`off`, a format's name, `{format: NAME}`, `{open: ..., close: ...}`; nothing finds it out."""


def override_of(option: Literal["off"] | ThinkingMarkers | None) -> Override:
    """What `lrmctl.thinking.find_thinking` takes."""
    if option is None or option == "off":
        return option
    return {key: value for key, value in option.model_dump().items() if value is not None}


def override_of_text(text: str | None) -> Override:
    """The same from a command line's `--thinking`: `off`, a format's name, or `OPEN,CLOSE`.

    Raises:
        LrmctlError: it names no format.
    """
    if not text or text in ("off", "auto"):
        return text if text == "off" else None
    open_, comma, close = text.partition(",")
    override: Override = {"open": open_, "close": close} if comma else {"format": text}
    format_of_override(override)
    return override
