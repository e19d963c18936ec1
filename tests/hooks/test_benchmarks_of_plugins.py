"""What `lrmctl benchmark show` tells of a plugin's benchmark before its prompts are loaded."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lrmctl.benchmarks.describe import show
from lrmctl.hooks import registry

FAR = """
    from lrmctl import hookimpl
    from lrmctl.hooks import Benchmark

    class Far(Benchmark):
        name, license, url, kinds = "far", "CC0-1.0", "https://example.org/far", ("harmful", "benign")
        def load(self):
            raise AssertionError("it is not here")
        def unavailable_reason(self):
            return "ask its owners for a copy"

    @hookimpl
    def lrmctl_benchmarks(register):
        register("far", Far)
"""


def test_declared_kinds_and_the_reason_of_absence_are_told_without_loading(
    install: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    install("acme-far", "acme_far", FAR)
    monkeypatch.setattr(registry._default, "_third_party", None)
    shown = show("far", {})
    for split in (shown.split, *shown.listed.splits):
        assert split.kinds == ("harmful", "benign")
        assert (split.here, split.how_to_get) == (False, "ask its owners for a copy")
    assert shown.prompts is None
