"""The form in which a public data set is known: where it is, its licence, size and columns. Facts, no loading."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct


class DataSet(Struct, frozen=True, forbid_unknown_fields=True):
    """One public data set.

    Attributes:
        columns: that every row must have.
        rows: of the whole split, as published.
        url: page to read about it, and to ask for access.
        file: where a local copy lies under LRMCTL_DATA_DIR.
        hub, config, split, revision: of the Hugging Face hub; without `revision` the one loaded is recorded.
        download: a file at a fixed address, for sets that have no open hub page.
        sha256: of that file; without it the one found is recorded and cannot be compared.
        reader: options of the hub's loader, as pairs.
        gated: the owners want their terms accepted first.
        seen: what columns and rows are known from.
        lower: column names are taken in lower case, because copies of the set differ.
        note: what else a user of the set should know.
    """

    name: str
    license: str
    columns: tuple[str, ...]
    rows: Annotated[int, Meta(ge=0)]
    url: Annotated[str, Meta(pattern="^https://")]
    file: str
    hub: str = ""
    config: str | None = None
    split: str = "train"
    revision: str | None = None
    download: Annotated[str, Meta(pattern="^(https://.*)?$")] = ""
    sha256: Annotated[str, Meta(pattern="^([0-9a-f]{64})?$")] = ""
    reader: tuple[tuple[str, object], ...] = ()
    gated: bool = False
    seen: Literal["file", "card", "code"] = "code"
    lower: bool = False
    note: str = ""
