"""`lrmctl recipe` with other people's backends."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path


def test_a_backend_that_checks_nothing_is_taken_as_it_is(
    start: Callable[..., subprocess.Popen[str]], stub_backend: Path
) -> None:
    process = start("recipe", "validate", "small.yaml", plugins=stub_backend)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out.strip(), err) == (0, "small.yaml: ok", "")


def test_a_backend_that_checks_is_told_with_line_and_key(
    start: Callable[..., subprocess.Popen[str]], stub_backend: Path
) -> None:
    plugin = stub_backend / "acme_stub.py"
    check = (
        "    def check(self, recipe):\n"
        "        from lrmctl.recipe.problems import Problem\n"
        "        return [Problem('backend.name', 'is out of ideas'), Problem('data.max_len', 'is long', note=True)]\n"
    )
    plugin.write_text(plugin.read_text().replace("    def versions", check + "    def versions"))
    process = start("recipe", "validate", "small.yaml", plugins=stub_backend)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (2, "")
    assert "small.yaml:8: backend.name: is out of ideas" in err
