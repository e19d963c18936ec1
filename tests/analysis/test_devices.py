"""Where the entropy pass runs."""

from __future__ import annotations

import pytest
import torch

from lrmctl.analysis.token_pass import devices_of
from lrmctl.errors import LrmctlError


def gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


def test_every_gpu_is_used_unless_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch, 2)
    assert devices_of("auto") == devices_of("cuda") == ["cuda:0", "cuda:1"]
    assert (devices_of("cuda:1"), devices_of("cpu")) == (["cuda:1"], ["cpu"])


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch, 2)
    with pytest.raises(LrmctlError, match=r"there is no cuda:2: torch sees 2 GPU\(s\)"):
        devices_of("cuda:2")
    gpus(monkeypatch, 0)
    assert devices_of("auto") == ["cpu"]
    with pytest.raises(LrmctlError, match="torch sees no GPU"):
        devices_of("cuda:0")
