"""Finds what the Hugging Face libraries have downloaded to this machine. Only checks folders."""

from __future__ import annotations

import os
from pathlib import Path


def hub_folder() -> Path:
    """The cache folder of the Hugging Face libraries."""
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    return Path(os.environ.get("HF_HUB_CACHE", home / "hub"))


def hub_snapshot(id: str, kind: str = "models") -> Path | None:
    """The newest downloaded snapshot of a hub repository, possibly incomplete; None if there is none."""
    folder = hub_folder() / f"{kind}--{id.replace('/', '--')}" / "snapshots"
    found = [p for p in folder.glob("*") if p.is_dir()]
    return max(found, key=lambda p: p.stat().st_mtime) if found else None
