"""Schema of a model's thinking format. By default it is detected; see `lrmctl.thinking`.

`thinking: magistral` is short for `thinking: {format: magistral}`; `thinking: off` means that the model does not think.
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
    """A name from `lrmctl plugin list thinking-format`."""
    open: Annotated[str, Field(min_length=1)] | None = None
    """Marker before the thinking."""
    close: Annotated[str, Field(min_length=1)] | None = None
    """Marker after the thinking."""

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
    if given is False:  # YAML 1.1 reads `off` as false
        return "off"
    if given in ("off", "auto", None):
        return None if given == "auto" else given
    return {"format": given} if isinstance(given, str) else given


ThinkingOption = Annotated[
    Literal["off"] | ThinkingMarkers | None,
    BeforeValidator(_short, json_schema_input_type=Literal[False] | str | ThinkingMarkers | None),
]
"""`off`, a format's name, `{format: NAME}` or `{open: ..., close: ...}`; None detects the format."""


def override_of(option: Literal["off"] | ThinkingMarkers | None) -> Override:
    """The option in the form that `lrmctl.thinking.find_thinking` takes."""
    if option is None or option == "off":
        return option
    return {key: value for key, value in option.model_dump().items() if value is not None}


def override_of_text(text: str | None) -> Override:
    """As `override_of`, from the command line's `--thinking`: `off`, a format's name, or `OPEN,CLOSE`.

    Raises:
        LrmctlError: there is no such format.
    """
    if not text or text in ("off", "auto"):
        return text if text == "off" else None
    open_, comma, close = text.partition(",")
    override: Override = {"open": open_, "close": close} if comma else {"format": text}
    format_of_override(override)
    return override
