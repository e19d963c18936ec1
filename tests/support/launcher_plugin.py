"""The launcher of the hook's own example, installed as a package: `detached`; and `one`, whose jobs are never there."""

from __future__ import annotations

import inspect
import textwrap
from pathlib import Path

import pytest

from lrmctl.hooks import registry, specs

REFUSING = """
    register("one", One, summary="a job that is never there")


class One(Launcher):
    def __init__(self, *, address, queue=("a", "b")):
        self.address = address

    def submit(self, job):
        return {"id": "7", "address": self.address}

    def state(self, record):
        return JobState("gone", "the queue lost it", 3)

    def cancel(self, record):
        pass
"""


def install_launchers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder, which is on the path, of an installed package `acme-launch`."""
    _, _, example = inspect.cleandoc(specs.lrmctl_launchers.__doc__ or "").partition("\n\nExample:\n")
    folder = folder / "site"
    info = folder / "acme_launch-0.3.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-launch\nVersion: 0.3\n")
    (info / "entry_points.txt").write_text("[lrmctl]\nacme_launch = acme_launch\n")
    (folder / "acme_launch.py").write_text(textwrap.dedent(example).rstrip() + REFUSING)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(__import__("sys").modules, "acme_launch", raising=False)
    monkeypatch.setattr(registry._default, "_third_party", None)
    return folder
