"""The licence of a model: what its GGUF metadata, its model card or its LICENSE file says. Never guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

UNKNOWN = "unknown"
_FILES = ("LICENSE*", "LICENCE*", "COPYING*", "license*", "NOTICE*", "USE_POLICY*")
_TEXTS = (
    ("apache-2.0", r"Apache License\s+Version 2\.0"),
    ("mit", r"Permission is hereby granted, free of charge, to any person obtaining a copy"),
    ("bsd-3-clause", r"Redistribution and use in source and binary forms(?s:.*)Neither the name"),
    ("gpl-3.0", r"GNU GENERAL PUBLIC LICENSE\s+Version 3"),
    ("llama3.3", r"LLAMA 3\.3 COMMUNITY LICENSE"),
    ("llama3.2", r"LLAMA 3\.2 COMMUNITY LICENSE"),
    ("llama3.1", r"LLAMA 3\.1 COMMUNITY LICENSE"),
    ("llama3", r"META LLAMA 3 COMMUNITY LICENSE"),
    ("llama2", r"LLAMA 2 COMMUNITY LICENSE"),
    ("gemma", r"Gemma Terms of Use"),
)


class Licence(NamedTuple):
    """A licence's identifier as the hub writes it, and where it was read; `unknown` and why."""

    name: str
    found_in: str


def licence_of_folder(folder: Path) -> Licence:
    """The licence that a folder states: in the model card's front matter, else as the text of a licence file."""
    return _of_card(folder / "README.md") or _of_text(folder) or Licence(UNKNOWN, "no model card or LICENSE says it")


def licence_of_gguf(fields: Mapping[str, Any], folder: Path) -> Licence:
    """The licence that a GGUF file's metadata states, else the one of the folder that it lies in."""
    for key in ("general.license.name", "general.license"):
        if named := str(fields.get(key) or "").strip():
            return Licence(_identifier(named), key)
    return licence_of_folder(folder)


def joined(parts: list[tuple[str, Licence]]) -> Licence:
    """One licence for a model that is made of several, each with what it is to the model."""
    if len({licence.name for _, licence in parts}) == 1:
        return parts[0][1]
    said = [(f"{licence.name} ({part})", f"{part}: {licence.found_in}") for part, licence in parts]
    return Licence(", ".join(name for name, _ in said), "; ".join(place for _, place in said))


def licence_files(folder: Path) -> list[Path]:
    """The licence texts and notices of a folder, which must go with the model."""
    return sorted({file for pattern in _FILES for file in folder.glob(pattern) if file.is_file()})


def _identifier(text: str) -> str:
    return " ".join(text.split())[:100]


def _of_card(file: Path) -> Licence | None:
    from huggingface_hub.repocard import metadata_load

    if not file.is_file():
        return None
    try:
        told = metadata_load(file) or {}
    except Exception:  # third-party text: YAML of any kind, any encoding
        return None
    stated = told.get("license_name") if told.get("license") in (None, "other") else told.get("license")
    names = [str(name) for name in (stated if isinstance(stated, list) else [stated]) if name]
    return Licence(_identifier(", ".join(names)), "the model card, README.md") if names else None


def _of_text(folder: Path) -> Licence | None:
    files = [file for file in licence_files(folder) if not file.name.startswith(("NOTICE", "USE_POLICY"))]
    for file in files:
        text = file.read_text(encoding="utf-8", errors="replace")[:20_000]
        for name, pattern in _TEXTS:
            if re.search(pattern, text):
                return Licence(name, file.name)
    return Licence(UNKNOWN, f"the text in {files[0].name} is not a known one; read it") if files else None
