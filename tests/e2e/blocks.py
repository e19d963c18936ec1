"""The fenced blocks of README.md and docs/*.md, and the commands in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "plugins").glob("*/README.md")))


class Block(NamedTuple):
    """One fenced block; `language` is what stands after the fence, empty for commands."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


class Command(NamedTuple):
    """One command as a reader would type it, comments left out."""

    block: Block
    line: str

    @property
    def words(self) -> list[str]:
        return shlex.split(self.line)

    def __str__(self) -> str:
        return f"{self.block}: {self.line}"


def blocks(*languages: str) -> list[Block]:
    """Blocks in these languages; all without any."""
    return [block for page in PAGES for block in _blocks(page) if not languages or block.language in languages]


def commands() -> list[Command]:
    """Every line of the blocks without a language; lines that end with a backslash are joined."""
    return [Command(block, line) for block in blocks("") for line in _lines(block.text)]


def _blocks(page: Path) -> Iterator[Block]:
    inside: list[str] | None = None
    start, language = 0, ""
    name = page.relative_to(ROOT).as_posix()
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if fence := re.match(r"\s*```(\w*)", line):
            if inside is None:
                inside, start, language = [], number, fence[1]
            else:
                yield Block(name, start, language, "\n".join(inside) + "\n")
                inside = None
        elif inside is not None:
            inside.append(line)
    assert inside is None, f"{name}:{start}: this block is not closed"


def _lines(text: str) -> Iterator[str]:
    for line in text.replace("\\\n", " ").splitlines():
        command = re.sub(r"\s+#.*$", "", line).strip()
        if command:
            yield re.sub(r"\s{2,}", " ", command)
