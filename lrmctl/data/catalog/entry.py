"""Schema of a catalogue entry: location, licence, size and columns of a data set. Loads nothing."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct


class DataSet(Struct, frozen=True, forbid_unknown_fields=True):
    """One public data set.

    Attributes:
        columns: columns that every row must have.
        rows: number of rows of the whole split, as published.
        url: page to read about it and to request access.
        file: path of a local copy under LRMCTL_DATA_DIR.
        hub, config, split, revision: on the Hugging Face hub; without `revision` the loaded one is recorded.
        download: a file at a fixed address, for data sets without an open hub page.
        sha256: of that file; without it the actual one is recorded but not verified.
        reader: options of the hub's loader, as pairs.
        gated: the owners' terms must be accepted first.
        seen: where columns and rows are known from.
        lower: column names are lowercased, because copies of the data set differ.
        note: further remarks for users.
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
