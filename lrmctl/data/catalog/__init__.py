"""Catalogue of public data sets: location, licence, size and columns.

Only facts, in this folder's TOML files: to add a data set, add a table, as documented by `entry.DataSet`. Loading is in
`fetch`; `data.builtin`, `lrmctl.benchmarks` and `lrmctl.reasoning` turn rows into prompts. Facts come from the data
set's card, from public code that uses it, or from the file itself, as `seen` says. lrmctl contains none of the data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

from lrmctl._util.toml_tables import read_entries
from lrmctl.data.catalog.entry import DataSet

__all__ = ["CATALOG", "FILES", "Catalog", "DataSet"]

FILES = ("training.toml", "benchmarks.toml", "reasoning.toml")


class Catalog(Mapping[str, DataSet]):
    """The data sets of several files by name. A file is read only if the files before it lack the requested name.

    Raises:
        LrmctlError: an entry does not fit `DataSet`; raised when its file is read.
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
