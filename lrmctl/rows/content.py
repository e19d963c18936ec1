"""Reads a file as strict UTF-8, decompressing gzip within size limits."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from lrmctl.errors import RecipeError

BOM = b"\xef\xbb\xbf"
MIB = 2**20
LONGEST_LINE = 256 * MIB
"""Most bytes of one row; a longer one cannot be a usable prompt or response."""
UNPACKED, RATIO = 256 * MIB, 64
"""A gzipped file may decompress to this many bytes or this many times its size, whichever is more (text compresses 3 to
20 times)."""
_UTF_16_32 = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")


@contextmanager
def open_bytes(file: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading bytes, decompressed if its name ends in `.gz`.

    Raises:
        RecipeError: the gzip data are damaged, or exceed the size limits.
    """
    if not file.name.lower().endswith(".gz"):
        with file.open("rb") as plain:
            yield plain
        return
    try:
        with gzip.open(file, "rb") as packed:
            yield cast("IO[bytes]", _Bounded(packed, file))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise RecipeError(
            f"cannot be unpacked: {error}", str(file), "pack it again with gzip, or give it plain"
        ) from error


def lines_of(file: Path) -> Iterator[tuple[int, str, bool]]:
    """Yield (number from 1, text without line end, whether a line end follows) for each line.

    Raises:
        RecipeError: a line is not UTF-8, contains a NUL byte, or is too long.
    """
    number = 0
    with open_bytes(file) as data:
        while raw := data.readline(LONGEST_LINE + 1):
            if len(raw) > LONGEST_LINE:
                raise RecipeError(f"the line is longer than {LONGEST_LINE // MIB} MiB", f"{file}:{number + 1}")
            if not number:
                raw = raw.removeprefix(BOM)
            ended = raw.endswith(b"\n")
            pieces = raw.removesuffix(b"\n").removesuffix(b"\r").split(b"\r")
            for i, piece in enumerate(pieces, 1):
                number += 1
                yield number, decoded(piece, f"{file}:{number}"), ended or i < len(pieces)


def whole_text(file: Path) -> str:
    """The whole text.

    Raises:
        RecipeError: it is not UTF-8 or contains a NUL byte; gives the line.
    """
    with open_bytes(file) as data:
        raw = data.read()
    raw = raw.removeprefix(BOM)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        start = raw.rfind(b"\n", 0, error.start) + 1
        line = raw.count(b"\n", 0, error.start) + 1
        end = raw.find(b"\n", error.start)
        return decoded(raw[start : end if end >= 0 else None], f"{file}:{line}")
    if (place := text.find("\0")) >= 0:
        raise _nul(f"{file}:{text.count(chr(10), 0, place) + 1}")
    return text


def decoded(raw: bytes, where: str) -> str:
    """Decode one line.

    Raises:
        RecipeError: it is not UTF-8, with the byte and its position; or it contains a NUL byte.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise RecipeError(*_not_utf_8(raw, error.start, where)) from None
    if "\0" in text:
        raise _nul(where)
    return text


def _not_utf_8(raw: bytes, at: int, where: str) -> tuple[str, str, str]:
    if raw.startswith(_UTF_16_32):
        return "is UTF-16, not UTF-8", where, "save the file as UTF-8: `iconv -f utf-16 -t utf-8`"
    before, char = raw[max(at - 20, 0) : at].decode(errors="replace"), raw[at]
    what = f"is not UTF-8: byte {at + 1} of the line is 0x{char:02x}, after {before!r}"
    return what, where, "save the file as UTF-8; text from Windows is often cp1252: `iconv -f cp1252 -t utf-8`"


def _nul(where: str) -> RecipeError:
    return RecipeError("holds a NUL byte", where, "the file is damaged, or UTF-16 without its mark: save it as UTF-8")


class _Bounded:
    """Reads decompressed bytes up to the limit."""

    def __init__(self, data: IO[bytes] | gzip.GzipFile, file: Path) -> None:
        self._data, self._file = data, file
        self._left = self._limit = max(UNPACKED, RATIO * file.stat().st_size)

    def read(self, size: int = -1) -> bytes:
        return self._counted(self._data.read(self._left + 1 if size < 0 else size))

    def readline(self, size: int = -1) -> bytes:
        return self._counted(self._data.readline(self._left + 1 if size < 0 else min(size, self._left + 1)))

    def _counted(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            what = f"unpacks to more than {self._limit // MIB} MiB, {RATIO} times its size or more"
            raise RecipeError(what, str(self._file), "if it is meant to be that large, give it unpacked")
        return data
