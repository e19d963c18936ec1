"""What is known of public data sets by name: where they are, their licence, size and columns.

Facts only, in the TOML files beside this one: adding a set is adding a table there, which `entry.DataSet` describes.
Loading is in `fetch`, rows become prompts in `data.builtin`, `lrmctl.benchmarks` and `lrmctl.reasoning`. Each fact was
read in the set's card, in public code that uses it, or in the file itself; `seen` says which. No set is part of lrmctl.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

from lrmctl._util.toml_tables import read_entries
from lrmctl.data.catalog.entry import DataSet

__all__ = ["CATALOG", "FILES", "Catalog", "DataSet"]

FILES = ("training.toml", "benchmarks.toml", "reasoning.toml")


class Catalog(Mapping[str, DataSet]):
    """The data sets of some files by name. A file is read when a set is asked for that none before it has.

    Raises:
        LrmctlError: an entry that does not fit `DataSet`, when its file is read.
    """

    def __init__(self, package: str = __name__, files: tuple[str, ...] = FILES) -> None:
        self._files = files
        self._read = cache(lambda file: read_entries(package, file, DataSet))

    def __getitem__(self, name: str) -> DataSet:
        for file in self._files:
            if found := self._read(file).get(name):
                return found
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (name for file in self._files for name in self._read(file))

    def __len__(self) -> int:
        return sum(len(self._read(file)) for file in self._files)


CATALOG: Mapping[str, DataSet] = Catalog()
