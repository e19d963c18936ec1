"""What differs between two evaluations besides their results, as they wrote it down, and what of it forbids pairing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lrmctl.comparison.pairing import PairingObstacle
from lrmctl.runs.damage import read_object

_WHOLE = ("decoding", "template_args", "overlap", "warnings")
"""Compared as one value, however deep."""
_SAMPLING = ("top_p", "top_k", "max_new_tokens")
_OWN = ("decoding", "system", "template_args")
ABSENT = "not recorded"


class SettingDifference(NamedTuple):
    """A setting that two evaluations do not share.

    Attributes:
        key: dotted path.
        a, b: the values; `ABSENT` where a side does not say.
        allow: what the user has to allow if it forbids pairing, else empty.
    """

    key: str
    a: Any
    b: Any
    allow: str

    def unlike(self) -> PairingObstacle:
        return PairingObstacle(self.allow, f"{self.key.replace('.', ' ')} is {self.a} in one and {self.b} in the other")


_FOUND = ("sets", "overlap", "warnings", "thinking", "settings")
"""What a summary found, which is no setting."""
_OF_THE_MACHINE = ("servers", "warnings", "batch_size", "decoding", "thinking")
"""Facts of an engine that change no completion, or stand under `sampling` too."""


def differences(a: Path, b: Path) -> list[SettingDifference]:
    """Every setting that differs between two evaluation folders, those that forbid pairing first."""
    one, two = (dict(_settings(folder)) for folder in (a, b))
    found = [
        SettingDifference(key, one.get(key, ABSENT), two.get(key, ABSENT), _forbids(key, one, two))
        for key in dict.fromkeys((*one, *two))
        if one.get(key, ABSENT) != two.get(key, ABSENT)
    ]
    return sorted(found, key=lambda d: not d.allow)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; empty if the file is not there.

    Raises:
        DamagedError: the file is no JSON object.
    """
    return read_object(path)


def _forbids(key: str, one: Mapping[str, Any], two: Mapping[str, Any]) -> str:
    """What has to be allowed; a value that one side never wrote down forbids nothing."""
    if key not in one or key not in two:
        return ""
    section, _, name = key.rpartition(".")
    if section in ("", "sampling") and name in _OWN:
        return name
    if section == "sampling" or (section in ("", "engine") and name in _SAMPLING):
        return "sampling"
    return "judge" if key.startswith("reasoning.") and name == "judge" else ""


def _settings(folder: Path) -> Iterator[tuple[str, Any]]:
    summary, lock = read_json(folder / "summary.json"), read_json(folder.parent / "lock.json")
    engine = {k: v for k, v in (summary.get("engine") or {}).items() if k not in _OF_THE_MACHINE}
    yield from _flat({**{k: v for k, v in summary.items() if k not in _FOUND}, "engine": engine})
    for entry in summary.get("sets", ()):
        yield from _of_set(entry)
    recipe = lock.get("recipe") or {}
    trained = {"recipe": " ".join(str(recipe[k]) for k in ("kind", "name") if k in recipe)}
    trained["recipe_sha256"] = str(lock.get("recipe_sha256", ""))[:12]
    yield from _flat({"trained": {k: v for k, v in trained.items() if v}})
    yield from _flat({"trained_with": {**lock.get("versions", {}), **lock.get("plugins", {})}})


def _of_set(entry: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Judges and source of a set. Graders of a reasoning task are only named here; verdicts name their judges."""
    place = f"{'reasoning' if entry['kind'] == 'reasoning' else 'safety'}.{entry['set']}"
    if "judge" in entry:
        yield f"{place}.judge", f"{entry['judge']} {entry.get('judge_version') or ''}".strip()
    for key in ("also", "measured"):
        if key in entry:
            yield f"{place}.{key}", entry[key]
    for key in ("revision", "sha256", "split"):
        if key in (entry.get("source") or {}):
            yield f"{place}.source.{key}", entry["source"][key]


def _flat(value: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        path = f"{before}.{key}" if before else str(key)
        if isinstance(inner, Mapping) and key not in _WHOLE:
            yield from _flat(inner, path)
        else:
            yield path, inner
