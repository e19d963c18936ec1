from __future__ import annotations

from pathlib import Path

import pytest

from lrmctl.hooks import registry


@pytest.fixture
def odd_rewards(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin beside this file as an installed distribution, found in the ordinary way."""
    site = tmp_path_factory.mktemp("site")
    info = site / "odd_rewards-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: odd-rewards\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lrmctl]\nodd = odd_rewards\n")
    (site / "odd_rewards.py").write_text((Path(__file__).parent / "odd_rewards.py").read_text())
    monkeypatch.syspath_prepend(site)
    # plugins are looked for once per process; this test's distribution came later
    monkeypatch.setattr(registry._default, "_third_party", None)
