"""What the hub's libraries have downloaded to this machine. Looks at folders only."""

from __future__ import annotations

import os
from pathlib import Path


def hub_folder() -> Path:
    """Where the hub's libraries keep what they have downloaded."""
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    return Path(os.environ.get("HF_HUB_CACHE", home / "hub"))


def hub_snapshot(id: str, kind: str = "models") -> Path | None:
    """The newest downloaded snapshot of a hub repository, whole or in part; None if there is none."""
    folder = hub_folder() / f"{kind}--{id.replace('/', '--')}" / "snapshots"
    found = [p for p in folder.glob("*") if p.is_dir()]
    return max(found, key=lambda p: p.stat().st_mtime) if found else None
