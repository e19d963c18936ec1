"""Requirements on distributions, as pip writes them (PEP 508)."""

from __future__ import annotations

from packaging.requirements import InvalidRequirement, Requirement


def parse_requirement(text: str) -> Requirement:
    """A requirement by name and version, e.g. `lrmctl-reward-brevity>=0.2`, perhaps with a marker.

    Raises:
        ValueError: it is none, or names an address.
    """
    try:
        found = Requirement(text)
    except InvalidRequirement as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{text!r} is not a requirement ({reason}); write e.g. lrmctl-reward-brevity>=0.2") from None
    if found.url is not None:
        raise ValueError(f"{text!r} names an address, of which no version can be checked; write {found.name}>=VERSION")
    return found
