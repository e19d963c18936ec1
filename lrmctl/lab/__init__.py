"""The tiny LRM: a synthetic world of requests and arithmetic, its model, benchmarks, training data and judge.

Everything is made from a seed and nothing is downloaded; text that stands for harm is only the token `hazard-N`.
"""

from __future__ import annotations

from pathlib import Path

from lrmctl.errors import NotFoundError


def base_path() -> Path:
    """Folder of the base model that ships with lrmctl (`lab:tiny`)."""
    path = Path(__file__).parent / "base"
    if not (path / "config.json").is_file():
        raise NotFoundError("the tiny base model is missing", str(path), "make one with `lrmctl model tiny OUT`")
    return path
