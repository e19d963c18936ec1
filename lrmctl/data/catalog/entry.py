"""The form in which a public data set is known: where it is, its licence, size and columns. Facts, no loading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ADVERSARIA = (
    "https://raw.githubusercontent.com/busycalibrating/AdversariaLLM/"
    "f970939273ea17b491fadf6001fddc36ed3ae3ff/data/behavior_datasets"
)
"""A public repository at a fixed commit that carries copies of several sets."""


@dataclass(frozen=True)
class DataSet:
    """One public data set.

    Attributes:
        columns: that every row must have.
        rows: of the whole split, as published.
        url: page to read about it, and to ask for access.
        hub, config, split, revision: of the Hugging Face hub; without `revision` the one loaded is recorded.
        download: a file at a fixed address, for sets that have no open hub page.
        sha256: of that file; without it the one found is recorded and cannot be compared.
        file: where a local copy lies under LRMCTL_DATA_DIR.
        reader: options of the hub's loader, as pairs.
        gated: the owners want their terms accepted first.
        seen: what columns and rows are known from.
        lower: column names are taken in lower case, because copies of the set differ.
        note: what else a user of the set should know.
    """

    name: str
    license: str
    columns: tuple[str, ...]
    rows: int
    url: str
    file: str
    hub: str = ""
    config: str | None = None
    split: str = "train"
    revision: str | None = None
    download: str = ""
    sha256: str = ""
    reader: tuple[tuple[str, object], ...] = ()
    gated: bool = False
    seen: Literal["file", "card", "code"] = "code"
    lower: bool = False
    note: str = ""
