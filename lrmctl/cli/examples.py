"""Examples of command lines in the help of commands: the part `Examples:` at the end of a command's docstring."""

from __future__ import annotations

import re
from typing import Any

from typer.core import TyperCommand

HEADING = "Examples"
_WORDS = re.compile(r"""(?:--[\w-]+ (?!-))?(?:'[^']*'|"[^"]*"|\S)+""")
"""A word, or an option and the word after it; quoted text is one word."""
_FURTHER = "    "


class CommandWithExamples(TyperCommand):
    """A command whose help ends with the examples of its docstring, one a line.

    Attributes:
        examples: whole command lines.
    """

    def __init__(self, *given: Any, help: str | None = None, **options: Any) -> None:
        text, _, examples = (help or "").partition(f"\n\n{HEADING}:\n")
        self.examples = [line.strip() for line in examples.splitlines() if line.strip()]
        paragraphs = [f"{HEADING}:", *self.examples]  # for a formatter that knows only paragraphs
        options["epilog"] = "\n\n".join(paragraphs) if self.examples else None
        super().__init__(*given, help=text, **options)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Format the examples; lines that are too long go on after a backslash, so that they can be copied."""
        if not self.examples:
            return
        with formatter.section(HEADING):
            indent = " " * formatter.current_indent
            for example in self.examples:
                lines = broken(example, formatter.width - len(indent))
                formatter.write("".join(f"{indent}{line}\n" for line in lines))


def broken(command: str, width: int) -> list[str]:
    """A command line as lines of at most `width` characters where its words allow, joined by backslashes."""
    lines = [""]
    for word in _WORDS.findall(command):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if len(longer) + 2 > width and lines[-1].strip():
            lines[-1] += " \\"
            lines.append(f"{_FURTHER}{word}")
        else:
            lines[-1] = longer
    return lines
