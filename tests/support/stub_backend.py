"""A backend plugin to train with, which fails, or waits where a file `wait` lies."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

BACKEND = """
    import time
    from pathlib import Path
    from lrmctl import Plan, hookimpl
    from lrmctl.backends.base import Progress
    from lrmctl.errors import BackendError

    class Stub:
        name = "stub"
        def plan(self, job):
            return Plan("stub", job.recipe.kind, ("true",), {}, estimates={"steps": 2})
        def versions(self):
            return {}
        def checkpoint(self, run_dir):
            return None
        def launch(self, plan, run_dir, on_progress, abort):
            on_progress(Progress(1, 2, {"loss": 0.5}))
            if Path("wait").exists():
                Path("started").touch()
                time.sleep(60)
            raise BackendError("the trainer ran out of ideas", fix="give it one")

    @hookimpl
    def lrmctl_backends(register):
        register("stub", Stub)
"""

RECIPE = """
kind: sft
name: small
model: lab:tiny
data:
  sources:
    - {use: lab-teacher, options: {n: 64}}
backend: {name: stub}
"""


@pytest.fixture
def stub_backend(tmp_path: Path) -> Path:
    """A recipe and a folder with an installed plugin, whose backend fails, or waits where a file `wait` lies."""
    folder = tmp_path / "site"
    info = folder / "acme_stub-0.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-stub\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[lrmctl]\nstub = acme_stub\n")
    (folder / "acme_stub.py").write_text(textwrap.dedent(BACKEND))
    (tmp_path / "small.yaml").write_text(RECIPE)
    return folder
