"""Chat templates that can be set at import: a file's, or one of those shipped by name."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from lrmctl._util.suggest import did_you_mean
from lrmctl.errors import LrmctlError, NotFoundError

OPTION = "--set-template"
_LARGEST = 1_000_000
"""Bytes; a template is a few thousand."""


class ChatTemplate(NamedTuple):
    """A template's text, and where it comes from."""

    text: str
    origin: str


def names() -> list[str]:
    """The templates that are shipped."""
    return sorted(Path(file.name).stem for file in _folder().iterdir() if file.name.endswith(".jinja"))


def template_named(named: str) -> ChatTemplate:
    """The template that the option names.

    Raises:
        NotFoundError: it is neither a file nor the name of a shipped template.
        LrmctlError: the file is no text.
    """
    if named in names():
        return ChatTemplate((_folder() / f"{named}.jinja").read_text(encoding="utf-8"), f"{OPTION} {named}")
    path = _file(named)
    if path is None:
        fix = f"give a file, or the name of a shipped template; {did_you_mean(named[:200], names())}"
        raise NotFoundError("is no file and no template's name", f"{OPTION} {named[:200]!r}", fix)
    text = ""
    if path.stat().st_size <= _LARGEST:
        text = path.read_bytes().decode("utf-8", errors="replace")
    if not text.strip() or "\ufffd" in text or "\0" in text:
        raise LrmctlError("is no chat template, which is a text in jinja", f"{OPTION} {named}", "give such a file")
    return ChatTemplate(text, f"{OPTION} {path.name}")


def of_source(tokenizer: Any) -> ChatTemplate | None:
    """The template that a tokenizer brings; None if it has none."""
    found = tokenizer.chat_template
    if isinstance(found, dict):  # several by name
        found = found.get("default") or next(iter(found.values()), None)
    return ChatTemplate(str(found), "the source's own") if found else None


def without_template(where: str) -> LrmctlError:
    """The error for a model that has none, such as a base model."""
    fix = f"add {OPTION} FILE, a template in jinja, or {OPTION} {'|'.join(names())}"
    return LrmctlError("the model has no chat template, so nothing can be asked of it", where, fix)


def _folder() -> Any:
    return files("lrmctl.models.importing") / "templates"


def _file(named: str) -> Path | None:
    try:
        path = Path(named).expanduser()
        return path if named.strip() and path.is_file() else None
    except (OSError, RuntimeError, ValueError):  # name too long, unknown home, NUL byte
        return None
