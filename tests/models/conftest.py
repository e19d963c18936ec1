"""The command line in this process, checkpoints made from the lab's model, and a hub on loopback."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_server import RECIPE, Hub

from lrmctl.lab import base_path
from lrmctl.models import load_model


@pytest.fixture
def lrmctl(lrmctl: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """The command line, in a folder that holds an eval recipe `eval.yaml` and its prompts."""
    (tmp_path / "eval.yaml").write_text(RECIPE)
    (tmp_path / "prompts.csv").write_text("prompt,kind\nhow do I read hazard-3?,harmful\n")
    return lrmctl


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the lab's model, to be changed."""
    folder = tmp_path / "copy"
    shutil.copytree(base_path(), folder)
    (folder / "manifest.json").unlink()
    return folder


@pytest.fixture(scope="session")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lab's model in several shards with an index."""
    folder = tmp_path_factory.mktemp("sharded")
    load_model(base_path()).save_pretrained(folder, max_shard_size="400KB")
    for file in base_path().glob("*"):
        if file.name.startswith(("token", "chat")):
            shutil.copy(file, folder)
    assert len(list(folder.glob("*.safetensors"))) > 2
    return folder


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A hub of one's own; what is fetched from it lies below `tmp_path`."""
    from huggingface_hub import constants

    with Hub() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        yield server
