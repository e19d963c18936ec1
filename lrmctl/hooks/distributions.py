"""Which installed distributions are plugins, and which of them `LRMCTL_PLUGINS` lets load.

The variable is a comma list: names load these only, `-name` leaves one out, `none` loads none. Imports no plugin.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import Any

from lrmctl._util.suggest import did_you_mean

ENTRY_POINT_GROUP = "lrmctl"
PLUGINS_VARIABLE = "LRMCTL_PLUGINS"


@dataclass(frozen=True)
class Candidate:
    """One entry point that may be loaded, or one built-in module.

    Attributes:
        entry_point: its name, if its distribution has several.
    """

    distribution: str
    version: str
    load: Callable[[], Any]
    builtin: bool = False
    entry_point: str = ""


@dataclass(frozen=True)
class Installed:
    """The entry points to load.

    Attributes:
        left_out: distributions that `LRMCTL_PLUGINS` leaves out.
        unknown: what it names and is not installed, or offers no plugin -> what was perhaps meant.
    """

    candidates: tuple[Candidate, ...]
    left_out: tuple[str, ...] = ()
    unknown: tuple[tuple[str, str], ...] = ()


def normalized(distribution: str) -> str:
    """The name by which installers compare distributions (PEP 503): `Acme_Rewards` is `acme-rewards`."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def installed() -> Installed:
    """Third-party entry points in the group `lrmctl`, without those that `LRMCTL_PLUGINS` leaves out."""
    found: dict[str, list[Candidate]] = {}
    for distribution in distributions():
        points = _entry_points(distribution)
        if points and (key := normalized(distribution.name)) not in found:
            name, version = distribution.name, distribution.version
            several = len(points) > 1
            found[key] = [Candidate(name, version, p.load, entry_point=p.name if several else "") for p in points]
    words = [word for given in os.environ.get(PLUGINS_VARIABLE, "").split(",") if (word := given.strip())]
    if not words:
        return Installed(tuple(one for candidates in found.values() for one in candidates))
    named = [normalized(word) for word in words if not word.startswith("-") and word != "none"]
    without = {normalized(word[1:]) for word in words if word.startswith("-")}
    chosen = {key for key in found if key not in without and (not named or key in named)}
    if "none" in words:
        chosen = set()
    names = {key: candidates[0].distribution for key, candidates in found.items()}
    return Installed(
        tuple(one for key in found if key in chosen for one in found[key]),
        tuple(names[key] for key in found if key not in chosen),
        tuple((word, did_you_mean(word, names.values())) for word in words if _is_unknown(word, found)),
    )


def _is_unknown(word: str, found: dict[str, list[Candidate]]) -> bool:
    """A name to load that cannot be; one to leave out may well be missing."""
    return word != "none" and not word.startswith("-") and normalized(word) not in found


def _entry_points(distribution: Distribution) -> list[EntryPoint]:
    """The distribution's entry points for lrmctl; none if its metadata cannot be parsed.

    `importlib.metadata.entry_points()` reads all distributions at once, so one bad file would hide every plugin.
    """
    try:
        if f"[{ENTRY_POINT_GROUP}]" not in (distribution.read_text("entry_points.txt") or ""):
            return []  # spares parsing hundreds of files
        return list(distribution.entry_points.select(group=ENTRY_POINT_GROUP))
    except Exception:  # any damage of any installed package, which is not lrmctl's problem
        return []
