"""Python code in a model's folder (`auto_map`): run only where the user has said so, of this model, in so many words.

transformers would ask on standard input; nothing in this package lets it.
"""

from __future__ import annotations

from pathlib import Path

from lrmctl.models.files import read_object

_ALLOWED: set[Path] = set()
_MAPS = ("config.json", "tokenizer_config.json", "processor_config.json", "preprocessor_config.json")
SWITCH = "read that code, then say `trust_remote_code: true` in the recipe, or --trust-remote-code"


def allow_code(path: Path) -> None:
    """The user trusts the code in this folder: it may run in this process."""
    _ALLOWED.add(path.absolute())


def code_allowed(path: Path) -> bool:
    return path.absolute() in _ALLOWED


def files_with_code(path: Path) -> list[str]:
    """The configurations of a folder that name Python code to be run."""
    found = []
    for name in _MAPS:
        try:
            if (path / name).is_file() and read_object(path / name).get("auto_map"):
                found.append(name)
        except ValueError:
            continue
    return found
