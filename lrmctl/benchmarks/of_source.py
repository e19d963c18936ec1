"""The prompts of a training source as a benchmark: what a model answers to prompts that are not held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lrmctl.hooks import registry
from lrmctl.hooks.specs import Benchmark, Source
from lrmctl.types import Prompt


class SourceBenchmark(Benchmark):
    """Prompts of a source that recipes train on, e.g. to fit a judge on a model's own answers to them.

    Args:
        source: name of the source, as under `prompts:` of a recipe.
        options: the source's.
    """

    def __init__(self, source: str, options: Mapping[str, Any] | None = None) -> None:
        self._source: Source = registry.make("source", source, **dict(options or {}))
        self.name = source
        facts = self._source.provenance()
        self.license, self.url = str(facts.get("license", "not stated by the source")), str(facts.get("url", ""))

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> None:
        """Refuse a source that is not there, before anything is read."""
        registry.check("source", options["source"], options.get("options") or {})

    def load(self) -> Sequence[Prompt]:
        return self._source.prompts()

    def provenance(self) -> Mapping[str, Any]:
        return self._source.provenance()
