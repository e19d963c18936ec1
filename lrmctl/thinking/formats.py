"""Thinking formats as data: markers that open and close thinking, and wrappers around the answer.

Built-in formats are in formats.toml; plugins add others through the hook `lrmctl_thinking_formats`; a recipe may give
its own two markers. Knows no model and no completion.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from importlib.resources import files
from typing import Any

from lrmctl.errors import LrmctlError, RecipeError

Pair = tuple[str, str]
DEFAULT = "think"
OWN = "own"
"""Name of a format whose markers come from a recipe."""


@dataclass(frozen=True)
class Channels:
    """Messages with headers, as in gpt-oss: `<|start|>assistant<|channel|>NAME<|message|>text<|end|>`.

    Attributes:
        start, role, channel, message: the parts of a header.
        ends: end markers of a message.
        thinking, answer, visible: channel names; `visible` channels are shown to the user before the answer.
    """

    start: str
    role: str
    channel: str
    message: str
    ends: tuple[str, ...]
    thinking: tuple[str, ...]
    answer: tuple[str, ...]
    visible: tuple[str, ...] = ()


@dataclass(frozen=True)
class ThinkingFormat:
    """How a model marks its thinking; the fields are described in formats.toml.

    Raises:
        ValueError: a marker is empty, or both opens and closes.
    """

    name: str
    open: str
    close: str
    summary: str = ""
    opens: tuple[str, ...] = ()
    closes: tuple[str, ...] = ()
    opening: str = ""
    closing: str = ""
    stop: str = ""
    wrappers: tuple[Pair, ...] = ()
    inner: tuple[Pair, ...] = ()
    ends: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    prose: bool = False
    channels: Channels | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "opening", self.opening or f"{self.open}\n")
        object.__setattr__(self, "closing", self.closing or f"\n{self.close}\n\n")
        object.__setattr__(self, "stop", self.stop or self.close)
        object.__setattr__(self, "shown", self.shown or (self.open, self.close))
        for each in (*self.all_opens, *self.all_closes):
            if not each.strip():
                raise ValueError(f"the format {self.name!r} has an empty marker")
        if set(self.all_opens) & set(self.all_closes):
            raise ValueError(f"the format {self.name!r} opens and closes a thought with the same marker")
        if self.open not in self.opening or self.close not in self.closing:
            raise ValueError(f"`opening` and `closing` of the format {self.name!r} must hold its markers")

    @property
    def all_opens(self) -> tuple[str, ...]:
        return (self.open, *self.opens)

    @property
    def all_closes(self) -> tuple[str, ...]:
        return (self.close, *self.closes)

    @property
    def literals(self) -> tuple[str, ...]:
        """Every text with a meaning, longest first; these must survive decoding."""
        found = {*self.all_opens, *self.all_closes, *self.ends, self.stop}
        found |= {tag for pair in (*self.wrappers, *self.inner) for tag in pair}
        if c := self.channels:
            found |= {c.start, c.channel, c.message, *c.ends}
        return tuple(sorted(found, key=lambda text: (-len(text), text)))

    def to_json(self) -> dict[str, Any]:
        """All non-empty fields, in the form that `from_json` reads."""
        return {key: value for key, value in asdict(self).items() if value}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> ThinkingFormat:
        """A format from a mapping of field names to values.

        Raises:
            ValueError: an unknown key, or an invalid value.
        """
        given = dict(row)
        known = {f.name for f in fields(cls)}
        if strange := sorted(set(given) - known):
            raise ValueError(f"a thinking format has no field {strange[0]!r}; it has {', '.join(sorted(known))}")
        for key in ("opens", "closes", "ends", "shown"):
            given[key] = tuple(given.get(key, ()))
        for key in ("wrappers", "inner"):
            given[key] = tuple((str(a), str(b)) for a, b in given.get(key, ()))
        if isinstance(channels := given.get("channels"), Mapping):
            table: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in channels.items()}
            given["channels"] = Channels(**table)
        return cls(**given)


@lru_cache(maxsize=1)
def builtin_formats() -> Mapping[str, ThinkingFormat]:
    """The formats of formats.toml by name, in file order."""
    return {name: ThinkingFormat.from_json({"name": name, **fields}) for name, fields in _tables().items()}


def summaries() -> dict[str, str]:
    """One-line summaries of the formats of formats.toml, by name."""
    return {name: str(fields["summary"]) for name, fields in _tables().items()}


def format_factory(name: str) -> Callable[[], ThinkingFormat]:
    """A factory, without options, of one format of formats.toml."""

    def built_in() -> ThinkingFormat:
        return builtin_formats()[name]

    return built_in


@lru_cache(maxsize=1)
def _tables() -> dict[str, dict[str, Any]]:
    return tomllib.loads(files(__package__).joinpath("formats.toml").read_text(encoding="utf-8"))


def default_format() -> ThinkingFormat:
    return builtin_formats()[DEFAULT]


def thinking_format(name: str) -> ThinkingFormat:
    """The format of that name, built in or from a plugin.

    Raises:
        NotFoundError: there is no format of that name.
        PluginError, RecipeError: the plugin fails or returns something else.
    """
    if found := builtin_formats().get(name):
        return found
    from lrmctl.hooks.registry import make

    made = make("thinking-format", name)
    if not isinstance(made, ThinkingFormat):
        raise RecipeError(f"thinking format {name!r} is a {type(made).__name__}, not a ThinkingFormat", "thinking")
    return made


def plugin_formats() -> list[ThinkingFormat]:
    """The formats of installed plugins; broken plugins are skipped, and `lrmctl plugin list` says why."""
    from lrmctl.hooks.registry import names

    found = []
    for entry in names("thinking-format"):
        if not entry.builtin:
            try:
                found.append(thinking_format(entry.name))
            except LrmctlError:
                continue
    return found


def own_format(open: str, close: str) -> ThinkingFormat:
    """A format with a recipe's own two markers.

    Raises:
        RecipeError: a marker is empty, or both are the same.
    """
    try:
        return ThinkingFormat(OWN, open.strip(), close.strip(), wrappers=default_format().wrappers)
    except ValueError as error:
        raise RecipeError(str(error), "thinking", "give two different markers as `open` and `close`") from error
