"""OpenRLHF's flags under their names in other versions (renames.toml), to translate old command lines."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from msgspec import Struct

from lrmctl._util.suggest import did_you_mean
from lrmctl._util.toml_tables import read_entries
from lrmctl.backends.openrlhf.flags.parser import Program, known


class FlagChanges(Struct, frozen=True, forbid_unknown_fields=True):
    """What became of the flags of one program, or of all; the fields are described in renames.toml."""

    renamed: dict[str, str]
    dropped: dict[str, str] = {}


@cache
def _changes() -> Mapping[str, FlagChanges]:
    return read_entries(__package__, "renames.toml", FlagChanges)


def old_names(program: Program) -> Mapping[str, str]:
    """Old name -> name in the newest known version, both without dashes."""
    return {**_changes()["both"].renamed, **_changes()[program].renamed}


def dropped(program: Program) -> Mapping[str, str]:
    """Flags that no later version has in any form, with what to do instead."""
    return _changes()[program].dropped


def new_name(program: Program, flag: str) -> str | None:
    """Today's name of an old flag, with or without dashes; None if it is unknown.

    Covers names that differ in dots and underscores only, such as `--vllm_num_engines`.
    """
    name = flag.lstrip("-")
    if new := old_names(program).get(name):
        return new
    flat = {k.replace(".", "_"): k for k in known(program)}
    return flat.get(name.replace(".", "_").replace("-", "_"))


def instead_of(program: Program, flag: str, reserved: Mapping[str, str]) -> tuple[str, str]:
    """A message for a flag that OpenRLHF does not have, with what to write instead.

    Args:
        reserved: flag -> what to do instead, or why it may not be set.
    """
    name = flag.lstrip("-")
    if name in (names := known(program)):
        return f"the flag {flag!r} is written with dashes", reserved.get(name, f"write {name!r}")
    if reason := dropped(program).get(name):
        return f"OpenRLHF has no flag {flag!r} any more", reason
    if new := new_name(program, flag):
        return f"OpenRLHF's flag {flag!r} is called {new!r} now", reserved.get(new, f"write {new!r}")
    longer = [n for n in names if n.startswith(name)]
    if longer and name:
        return f"{flag!r} is not a whole flag of OpenRLHF", did_you_mean(name, longer)
    return f"OpenRLHF has no flag {flag!r}", did_you_mean(name, names)
