"""The entries of sets.toml, validated against one schema. Reads no rows, so that listing sets is fast."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from lrmctl._util.toml_tables import read_entries
from lrmctl.types import Kind


class LabelFacts(Struct, frozen=True, forbid_unknown_fields=True):
    """The column that contains the kind of a prompt, and the meaning of its values."""

    column: str
    kinds: dict[str, Kind]


class SplitFacts(Struct, frozen=True, forbid_unknown_fields=True):
    """One split; the fields are described in sets.toml."""

    data: str = ""
    kind: Kind | None = None
    keep: str | None = None
    rows: Annotated[int, Meta(ge=1)] | None = None
    unnamed: bool = False


class SetFacts(Struct, frozen=True, forbid_unknown_fields=True):
    """One set; the fields are described in sets.toml.

    Raises:
        ValueError: a split without a kind for its prompts, or one that keeps an unknown label.
    """

    name: str
    summary: str
    about: str
    text: str
    id: str = ""
    id_within_split: bool = False
    meta: tuple[str, ...] | dict[str, str] = ()
    kind: Kind | None = None
    labels: LabelFacts | None = None
    splits: dict[str, SplitFacts] = {}
    not_splits: dict[str, str] = {}

    def __post_init__(self) -> None:
        for name, split in (self.splits or {"": SplitFacts()}).items():
            which = f"split {name!r}" if name else "the set"
            if not (split.kind or self.kind or self.labels):
                raise ValueError(f"{which} has neither kind nor labels")
            if split.keep is not None and split.keep not in (self.labels.kinds if self.labels else ()):
                raise ValueError(f"{which} keeps {split.keep!r}, which is none of the labels")


def declared_sets() -> dict[str, SetFacts]:
    """The sets of sets.toml by name.

    Raises:
        LrmctlError: an entry that does not match `SetFacts`.
    """
    return read_entries(__package__, "sets.toml", SetFacts)
