"""Describes a benchmark without running it: kinds, prompts, licence, how to get it, whether it is available here.

Listing reads no public set; showing one reads it if it is on this machine, and never downloads.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lrmctl.benchmarks.factory import PublicSet
from lrmctl.benchmarks.public import PublicBenchmark, how_to_get
from lrmctl.errors import NotFoundError, PluginError, RecipeError
from lrmctl.hooks import registry
from lrmctl.hooks.manager import PluginEntry
from lrmctl.hooks.specs import Benchmark
from lrmctl.types import Prompt


@dataclass(frozen=True)
class SplitDescription:
    """One split of a benchmark; None is what cannot be known without loading it.

    Attributes:
        options: options that select it in a recipe.
        name: as printed with results.
        prompts: as published; for a generated set, as found.
        here: no download is needed.
        how_to_get: empty if it is here.
        facts: of the underlying data set: total rows, hub id, sha256, sources.
    """

    options: Mapping[str, Any]
    name: str
    kinds: tuple[str, ...] | None
    prompts: int | None
    license: str
    url: str
    gated: bool | None
    here: bool | None
    how_to_get: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ListedBenchmark:
    """A registered benchmark.

    Attributes:
        origin: `lrmctl`, or the distribution that provides it.
        splits: the default one first; empty for a benchmark that needs options.
        needs: why it has none.
    """

    name: str
    origin: str
    summary: str
    splits: tuple[SplitDescription, ...] = ()
    needs: str = ""


@dataclass(frozen=True)
class BenchmarkDescription:
    """A full description of a benchmark.

    Attributes:
        options: name -> default, `...` if required.
        split: the split selected by the given options.
        provenance, prompts: None if the set is not on this machine.
    """

    listed: ListedBenchmark
    about: str
    options: Mapping[str, Any]
    split: SplitDescription
    provenance: Mapping[str, Any] | None
    prompts: tuple[Prompt, ...] | None


def benchmarks() -> list[ListedBenchmark]:
    """Every registered benchmark."""
    return [_listed(entry) for entry in registry.names("benchmark")]


def show(name: str, options: Mapping[str, Any]) -> BenchmarkDescription:
    """One benchmark with these options.

    Raises:
        NotFoundError, RecipeError: no such benchmark, or options that it does not take.
    """
    entry = registry.find("benchmark", name)
    benchmark = registry.make("benchmark", name, **options)
    here = _here(benchmark)
    prompts = tuple(benchmark.load()) if here else None
    told = dict(benchmark.provenance()) if prompts is not None else None
    parameters = inspect.signature(entry.factory).parameters.values()
    defaults = {p.name: "..." if p.default is inspect.Parameter.empty else p.default for p in parameters}
    about = inspect.getdoc(entry.factory) or ""
    return BenchmarkDescription(_listed(entry), about, defaults, _split(benchmark, options, prompts), told, prompts)


def _listed(entry: PluginEntry) -> ListedBenchmark:
    origin = "lrmctl" if entry.builtin else f"{entry.distribution} {entry.version}"
    try:
        return ListedBenchmark(entry.name, origin, entry.summary, _splits(entry))
    except (RecipeError, NotFoundError, PluginError) as error:  # an error in lrmctl's own tables must not be hidden
        return ListedBenchmark(entry.name, origin, entry.summary, needs=error.what)


def _splits(entry: PluginEntry) -> tuple[SplitDescription, ...]:
    if isinstance(entry.factory, PublicSet):
        return tuple(_published(benchmark, options) for options, benchmark in entry.factory.benchmarks())
    benchmark = registry.make("benchmark", entry.name)
    return (_split(benchmark, {}, list(benchmark.load()) if entry.builtin else None),)  # the lab's own are generated


def _split(benchmark: Benchmark, options: Mapping[str, Any], prompts: Sequence[Prompt] | None) -> SplitDescription:
    """A split of any benchmark; that of a public set is described without its prompts."""
    if isinstance(benchmark, PublicBenchmark):
        return _published(benchmark, options)
    kinds: tuple[str, ...] = tuple(dict.fromkeys(prompt.kind for prompt in prompts or ()))
    kinds = kinds or tuple(benchmark.kinds)
    count = None if prompts is None else len(prompts)
    get = benchmark.unavailable_reason() if prompts is None else ""
    return SplitDescription(
        dict(options), _name(benchmark), kinds or None, count, benchmark.license, benchmark.url, None, not get, get
    )


def _published(benchmark: PublicBenchmark, options: Mapping[str, Any]) -> SplitDescription:
    data, rows, here = benchmark.selection.data, benchmark.selection.rows, _here(benchmark)
    get = "" if here else how_to_get(data)
    facts = {"rows": data.rows or None, "hub": data.hub, "config": data.config, "download": data.download}
    more = {"file": data.file, "sha256": data.sha256, "known from": data.seen, "note": data.note}
    told = {key: value for key, value in {**facts, **more}.items() if value}
    kinds = tuple(benchmark.kinds)
    return SplitDescription(
        dict(options), _name(benchmark), kinds, rows, data.license, data.url, data.gated, here, get, told
    )


def _name(benchmark: Benchmark) -> str:
    return f"{benchmark.name}/{benchmark.split}" if benchmark.split else benchmark.name


def _here(benchmark: Benchmark) -> bool:
    """Whether it is on this machine, as far as it reports."""
    return not benchmark.unavailable_reason()
