"""Commands that are imported when used: `lrmctl --help` and each command import no other one."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperGroup

from lrmctl.cli.examples import CommandWithExamples


class CommandEntry(NamedTuple):
    """The location of a command, and its entry in the list of commands.

    Attributes:
        target: `module:function`, or `module:app` for a group of commands; the module is in `lrmctl.cli.commands`.
        summary: the first sentence of its help.
    """

    target: str
    summary: str


class LazyGroup(TyperGroup):
    """A group whose commands are those of a table; `entries` is set by a subclass."""

    entries: dict[str, CommandEntry]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = _Commands(self.entries)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Format the list of commands from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in self.entries.items()])


class _Commands(MutableMapping[str, Any]):
    """Commands by name, each imported on access."""

    def __init__(self, entries: dict[str, CommandEntry]) -> None:
        self._entries, self._loaded = entries, dict[str, Any]()

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded[name] = _load(name, self._entries[name].target)
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __setitem__(self, name: str, command: Any) -> None:
        raise TypeError("commands are added to the table")

    __delitem__ = __setitem__  # type: ignore[assignment]


def _load(name: str, target: str) -> Any:
    module, _, attribute = target.partition(":")
    found = getattr(import_module(f"lrmctl.cli.commands.{module}"), attribute)
    if isinstance(found, typer.Typer):
        found.rich_markup_mode = None
        for one in found.registered_commands:
            one.cls = CommandWithExamples
        command: Any = typer.main.get_group(found)
    else:
        alone = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        alone.command(name, cls=CommandWithExamples)(found)
        command = typer.main.get_command(alone)
    command.name = name
    return command
