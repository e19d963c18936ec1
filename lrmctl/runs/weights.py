"""Removes the weights of a finished run that are no longer needed; everything else about the run stays."""

from __future__ import annotations

from pathlib import Path

from lrmctl.runs.folder import RunFolder
from lrmctl.runs.overview import remove, size

_WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.safetensors.index.json", "*.bin.index.json")


def remove_weights(run: Path) -> int:
    """Delete the weights of a run's model and its checkpoints; returns the bytes freed.

    Configuration and tokenizer stay: they say what the model was, and its training data are read with them.
    """
    folder = RunFolder(run)
    weights = {file for pattern in _WEIGHTS for file in folder.model.glob(pattern)}
    freed = sum(size(file) for file in weights)
    for file in weights:
        file.unlink()
    return freed + remove(folder, checkpoints_only=True)
