"""The licences of everything in a CycloneDX list, as a Markdown table: `tools/licences.py FILE`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_LONGEST = 60
"""Characters of a licence's name; a longer one is the licence's text."""


def licences(component: Mapping[str, Any]) -> str:
    """The licences that a component declares, without texts; empty if it declares none."""
    found = []
    for one in component.get("licenses", ()):
        name = one.get("expression") or one["license"].get("id") or one["license"].get("name", "")
        first = name.strip().partition("\n")[0].removeprefix("License :: OSI Approved :: ")
        found.append(first if len(first) <= _LONGEST else f"{first[:_LONGEST]}...")
    return ", ".join(dict.fromkeys(filter(None, found)))


def table(listed: Mapping[str, Any]) -> str:
    """One row for each component, by name; those that declare no licence come first."""
    rows = sorted(
        (licences(c) != "", c["name"].lower(), c["version"], licences(c) or "not declared in its metadata")
        for c in listed["components"]
    )
    lines = ["| package | version | licence |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {version} | {said} |" for _, name, version, said in rows)])


if __name__ == "__main__":
    print(table(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
