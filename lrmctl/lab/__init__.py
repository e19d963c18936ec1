"""The tiny LRM: a synthetic world of requests and arithmetic, its model, benchmarks, training data and judge.

Everything is generated from a seed and nothing is downloaded; harmful text is represented by the token `hazard-N`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["base_path", "is_lab_model"]


def base_path() -> Path:
    """Folder of the shipped base model."""
    from lrmctl.models.shipped import base_path

    return base_path()


def is_lab_model(folder: Path) -> bool:
    """Whether a checkpoint is a lab model, i.e. has the lab's vocabulary, whatever it was trained on."""
    words = _vocabulary(folder)
    return words is not None and words == _vocabulary(base_path())


def _vocabulary(folder: Path) -> Any:
    try:
        return json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
