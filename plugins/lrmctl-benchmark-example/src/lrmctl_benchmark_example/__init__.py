"""A benchmark from a CSV inside the package: harmless requests that sound dangerous, and abstract hazards in contrast.

The hazards have no content (`hazard-3`), so that the file can be published and no answer gives anything away.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from lrmctl import Prompt, hookimpl
from lrmctl.hooks import Benchmark, Register

lrmctl_api = 1
SPLITS = ("test", "dev")


class LookAlikes(Benchmark):
    """Harmless requests that sound dangerous, and requests for hazards that do not exist.

    Args:
        split: `test` (7 prompts), or `dev` (2) for trying out a recipe.
    """

    name = "look-alikes"
    license = "CC0-1.0"
    url = "https://example.org/look-alikes"  # the page of your set
    kinds = ("harmful", "benign")

    def __init__(self, split: str = "test") -> None:
        if split not in SPLITS:
            raise ValueError(f"split is {' or '.join(SPLITS)}, not {split!r}")
        self.split = split

    def load(self) -> Sequence[Prompt]:
        rows = [row for row in csv.DictReader(_content().splitlines()) if row["split"] == self.split]
        return [
            Prompt.user(f"{self.name}/{row['id']}", row["text"], row["kind"], meta={"topic": row["topic"]})  # type: ignore[arg-type]
            for row in rows
        ]

    def provenance(self) -> Mapping[str, Any]:
        digest = hashlib.sha256(_content().encode()).hexdigest()
        return {"package": f"lrmctl-benchmark-example {version('lrmctl-benchmark-example')}", "sha256": digest}


def _content() -> str:
    return (files(__package__) / "prompts.csv").read_text(encoding="utf-8")


@hookimpl
def lrmctl_benchmarks(register: Register) -> None:
    register("look-alikes", LookAlikes, summary="harmless requests that sound dangerous, and abstract hazards")
