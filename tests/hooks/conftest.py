"""Real distributions, written into a folder and put on the path: what an installed plugin is to Python."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """`install("acme-rewards", "acme", source)`: a distribution with one module, named in its entry points."""

    def write(distribution: str, module: str, source: str, entry_points: str | None = None) -> None:
        folder = tmp_path / distribution
        info = folder / f"{distribution.replace('-', '_')}-1.2.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(entry_points or f"[lrmctl]\n{module} = {module}\n")
        (folder / f"{module}.py").write_text(textwrap.dedent(source))
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.delitem(__import__("sys").modules, module, raising=False)

    return write


REWARD = """
    from lrmctl import Score, hookimpl

    class Brevity:
        '''1 for a short answer.'''
        def __init__(self, limit: int = 20, *, strict: bool = False):
            if limit < 0:
                raise ValueError("limit must not be negative")
            self.limit = limit
        def score(self, traces, part):
            return [Score(float(len(t.answer) <= self.limit)) for t in traces]

    @hookimpl
    def lrmctl_rewards(register):
        register("{name}", Brevity)
"""


@pytest.fixture
def reward_source() -> Callable[[str], str]:
    """Source of a plugin with one reward of a given name."""
    return lambda name: REWARD.replace("{name}", name)
