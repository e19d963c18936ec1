"""Finds what the Hugging Face libraries have downloaded to this machine. Only checks folders."""

from __future__ import annotations

import os
from pathlib import Path


def hub_folder() -> Path:
    """The cache folder of the Hugging Face libraries."""
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    return Path(os.environ.get("HF_HUB_CACHE", home / "hub"))


def hub_snapshot(id: str, kind: str = "models", revision: str | None = None) -> Path | None:
    """The newest downloaded snapshot of a hub repository, possibly incomplete; None if there is none.

    Args:
        revision: only the snapshot of this branch, tag or commit.
    """
    folder = hub_folder() / f"{kind}--{id.replace('/', '--')}"
    if revision is not None:
        file = folder / "refs" / revision
        commit = file.read_text(encoding="utf-8").strip() if file.is_file() else revision
        found = [path for path in (folder / "snapshots").glob("*") if path.name == commit and path.is_dir()]
    else:
        found = [path for path in (folder / "snapshots").glob("*") if path.is_dir()]
    return max(found, key=lambda path: path.stat().st_mtime) if found else None
