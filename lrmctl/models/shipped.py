"""The model shipped with lrmctl."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from lrmctl.errors import NotFoundError


def base_path() -> Path:
    """Folder of the base model shipped with lrmctl (`lab:tiny`)."""
    path = Path(str(files("lrmctl"))) / "lab" / "base"
    if not (path / "config.json").is_file():
        raise NotFoundError("the tiny base model is missing", str(path), "make one with `lrmctl model tiny OUT`")
    return path
