"""Data folders: the real one, which tests skip without, and an empty one beside a hub that is off."""

from __future__ import annotations

import csv
import importlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

Lay = Callable[[str, Sequence[dict[str, Any]]], Path]


@pytest.fixture
def real() -> Path:
    folder = os.environ.get("LRMCTL_DATA_DIR")
    if not folder:
        pytest.skip("LRMCTL_DATA_DIR is not set")
    return Path(folder)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder, an empty hub cache, and no hub."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("LRMCTL_DATA_DIR", str(folder))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for module in ("huggingface_hub.constants", "datasets.config"):  # these read the variable when they are imported
        monkeypatch.setattr(importlib.import_module(module), "HF_HUB_OFFLINE", True)
    return folder


@pytest.fixture
def lay(data: Path) -> Lay:
    """Writes rows as CSV, or tab-separated, to a place in the data folder."""

    def write(file: str, rows: Sequence[dict[str, Any]]) -> Path:
        path = data / file
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="") as text:
            delimiter = "\t" if path.suffix == ".tsv" else ","
            writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
            writer.writeheader()
            writer.writerows(rows)
        return path

    return write
