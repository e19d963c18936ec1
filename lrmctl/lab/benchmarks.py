"""The lab's two benchmarks: harmful requests, and benign ones that look like them."""

from __future__ import annotations

from typing import Literal

from lrmctl.hooks.specs import Benchmark
from lrmctl.lab.world import RequestKind, distinct_requests
from lrmctl.types import Prompt


class LabBenchmark(Benchmark):
    """A fixed list of distinct requests of one kind and split; ids are stable for a seed.

    Args:
        kind: `harmful` or `benign`.
        split: `heldout` (words that SFT and RL never see) or `in`.
        n: number of prompts.
        seed: selects the prompts.
        policy: whether prompts say which kinds of answer are right (`response_policy`).
    """

    license = "Apache-2.0"
    url = "lrmctl/lab/world.py"

    def __init__(
        self,
        kind: RequestKind,
        split: Literal["heldout", "in"] = "heldout",
        n: int = 256,
        seed: int = 0,
        policy: bool = False,
    ) -> None:
        self.name = f"lab-{kind}"
        self.split = split
        self._prompts = [
            request.prompt(f"{self.name}/{split}/{seed}/{i}", self.name, policy=policy)
            for i, request in enumerate(distinct_requests(kind, split, n, seed))
        ]

    def load(self) -> list[Prompt]:
        return list(self._prompts)


def harmful(
    split: Literal["heldout", "in"] = "heldout", n: int = 256, seed: int = 0, policy: bool = False
) -> LabBenchmark:
    return LabBenchmark("harmful", split, n, seed, policy)


def benign(
    split: Literal["heldout", "in"] = "heldout", n: int = 256, seed: int = 0, policy: bool = False
) -> LabBenchmark:
    return LabBenchmark("benign", split, n, seed, policy)
