"""Fixtures of the tests of launchers."""

from __future__ import annotations

from pathlib import Path

import pytest
from launcher_plugin import install_launchers


@pytest.fixture
def acme_launch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an installed package `acme-launch` with the launchers `detached` and `one`."""
    return install_launchers(tmp_path, monkeypatch)
