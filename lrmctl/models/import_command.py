"""The command that makes a usable folder of something that is a model in another form, for error messages."""

from __future__ import annotations

import shlex
from pathlib import PurePath


def import_command(source: str | PurePath, out: str = "") -> str:
    """The command line that imports `source`.

    Args:
        out: the folder to create; named after the source by default.
    """
    name = PurePath(str(source).rpartition("+")[2])
    default = name.stem if name.suffix == ".gguf" else f"{name.name}-merged"
    return shlex.join(["lrmctl", "model", "import", str(source), out or default])
