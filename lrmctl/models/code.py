"""Python code in a model's folder (`auto_map`), which runs only if the user explicitly trusts this model.

transformers would ask on standard input; lrmctl never lets it.
"""

from __future__ import annotations

from pathlib import Path

from lrmctl.models.files import read_object

_ALLOWED: set[Path] = set()
_MAPS = ("config.json", "tokenizer_config.json", "processor_config.json", "preprocessor_config.json")
SWITCH = "read that code, then say `trust_remote_code: true` in the recipe, or --trust-remote-code"


def allow_code(path: Path) -> None:
    """Allow the code in this folder, which the user trusts, to run in this process."""
    _ALLOWED.add(path.absolute())


def code_allowed(path: Path) -> bool:
    return path.absolute() in _ALLOWED


def files_with_code(path: Path) -> list[str]:
    """The configuration files of a folder that name Python code to run."""
    found = []
    for name in _MAPS:
        try:
            if (path / name).is_file() and read_object(path / name).get("auto_map"):
                found.append(name)
        except ValueError:
            continue
    return found
