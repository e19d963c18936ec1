"""Errors of a disk that takes no more, and of files that were deleted while they were written."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""A full disk, a used-up quota, and a limit on the size of a file."""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """A full disk that is found while writing names the file; the system only does so for opening it."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno in FULL:
            error.filename = str(path)
        raise


def refuse_deleted(handle: int, path: Path) -> None:
    """What is written into a file without a name is lost.

    Args:
        handle: of the open file.

    Raises:
        FileNotFoundError: the file was deleted.
    """
    if os.fstat(handle).st_nlink == 0:
        raise FileNotFoundError(errno.ENOENT, "it was deleted while it was written", str(path))
