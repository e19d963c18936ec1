"""Text from outside in a Markdown page."""

from __future__ import annotations


def plain_markdown(text: object) -> str:
    """A name on one line, without anything that Markdown or HTML would interpret."""
    kept = "".join(c if c.isprintable() else " " for c in str(text))
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#!" else c for c in kept)
