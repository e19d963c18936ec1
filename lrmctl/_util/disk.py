"""Errors of full disks, and of files deleted while they are being written."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Full disk, exceeded quota, exceeded file size limit."""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Add the file name to a disk-full error raised while writing; the system only names the file on opening."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno in FULL:
            error.filename = str(path)
        raise


def refuse_deleted(handle: int, path: Path) -> None:
    """Raise if an open file was deleted, because anything written to it would be lost.

    Args:
        handle: descriptor of the open file.

    Raises:
        FileNotFoundError: the file was deleted.
    """
    if os.fstat(handle).st_nlink == 0:
        raise FileNotFoundError(errno.ENOENT, "it was deleted while it was written", str(path))
