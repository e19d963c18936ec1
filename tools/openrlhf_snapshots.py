"""Make the snapshots of OpenRLHF's command lines, and list the flags that two versions do not share.

    python tools/openrlhf_snapshots.py                        # every version that is already there, again
    python tools/openrlhf_snapshots.py 0.11.3                 # one more
    python tools/openrlhf_snapshots.py --renames 0.10.1 0.11.2   # flags that were renamed, where that is unambiguous

Wheels are downloaded with pip and read as archives: OpenRLHF is neither installed nor imported.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import zipfile
from collections import defaultdict
from pathlib import Path

from lrmctl.backends.openrlhf.flags import parser as flags

# only the archive is read, so that any machine takes the wheel that is published
_WHEEL = ["--only-binary=:all:", "--python-version=3.11", "--implementation=cp", "--platform=manylinux1_x86_64"]


def parsers(version: str) -> dict[flags.Program, argparse.ArgumentParser]:
    """Both programs' parsers of a published version."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", *_WHEEL, "-d", folder]
        subprocess.run([*command, f"openrlhf=={version}"], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            # a wheel tagged for a platform keeps its files under *.data/purelib
            inside = {Path(name).name: name for name in archive.namelist() if "openrlhf/cli/" in name}
            files = {p: Path(archive.extract(inside[f"{p}.py"], folder)) for p in flags.PROGRAMS}
        return {program: flags.recover(file) for program, file in files.items()}


def write(version: str) -> None:
    """One option per line, so that a change of version shows as changed lines."""
    blocks = []
    for program, built in parsers(version).items():
        rows = ",\n".join(json.dumps(row, separators=(",", ":")) for row in flags.options_of(built))
        blocks.append(f'"{program}":[\n{rows}\n]')
    file = flags.SNAPSHOTS / f"{version}.json"
    file.write_text("{\n" + ",\n".join(blocks) + "\n}\n", encoding="utf-8")
    print(f"{file.name}: {file.stat().st_size} bytes")


def renames(old: str, new: str) -> None:
    """Print `program: old -> new` for flags that vanished; several candidates or none are for a person to decide."""
    before, after = parsers(old), parsers(new)
    for program in flags.PROGRAMS:
        gone, come = _fresh(before[program], after[program]), _fresh(after[program], before[program])
        for action in gone:
            close = [c.option_strings[0] for c in come if _alike(action, c)]
            print(f"{program}: {action.option_strings[0]} -> {' | '.join(close) or '?'}")


def _fresh(parser: argparse.ArgumentParser, other: argparse.ArgumentParser) -> list[argparse.Action]:
    known = {o for a in other._actions for o in a.option_strings}
    return [a for a in parser._actions if not known & set(a.option_strings)]


def _alike(old: argparse.Action, new: argparse.Action) -> bool:
    """Of one type and arity, and the same help text or the same words in the name."""
    if (type(old), old.type, old.nargs) != (type(new), new.type, new.nargs):
        return False
    if old.help and old.help == new.help:
        return True
    words = defaultdict(set)
    for key, action in (("old", old), ("new", new)):
        words[key] = set(action.option_strings[0].strip("-").replace(".", "_").split("_")) - {"enable", "use"}
    return words["old"] <= words["new"]


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("versions", nargs="*", help="all that have a snapshot by default")
    arguments.add_argument("--renames", nargs=2, metavar=("OLD", "NEW"))
    given = arguments.parse_args()
    if given.renames:
        renames(*given.renames)
    else:
        for name in given.versions or flags.known_versions():
            write(name)
