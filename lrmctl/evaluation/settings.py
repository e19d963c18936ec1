"""The identity of an evaluation: settings, seed and model; and what to do if another one exists in its place.

An evaluation is never replaced unless requested, and then the previous one is kept in `before-N/`.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl.errors import RunExistsError
from lrmctl.runs.damage import DamagedError, read_object

if TYPE_CHECKING:
    from lrmctl.recipe.schema.evaluation import EvalSection

_HOW_ONLY = ("batch_size", "max_failed", "engine")
KEPT = ("rows.jsonl", "summary.json")


def settings_of(section: EvalSection) -> dict[str, Any]:
    """All settings that affect the results of an evaluation, except model and seed. Where it runs does not."""
    told = section.model_dump(mode="json")
    safety = [chosen.model_dump(mode="json") for chosen in section.judged()]
    return {key: value for key, value in {**told, "safety": safety}.items() if key not in _HOW_ONLY}


def claim(folder: Path, settings: Mapping[str, Any], seed: int, fingerprint: str, *, replace: bool, own: bool) -> None:
    """Check that the folder holds no finished evaluation, or this very one; with `replace` move another one aside.

    Args:
        own: the model was produced by the run, so that another fingerprint means further training.

    Raises:
        RunExistsError: an evaluation with other settings, or of another model, exists.
    """
    try:
        old = read_object(folder / "summary.json")
    except DamagedError:  # it is rewritten, and no results are lost
        return
    if not old:
        return
    differs = _differences(old, {**settings, "seed": seed})
    other = old.get("fingerprint") != fingerprint
    if (differs or (other and not own)) and not replace:
        whose = f"of another model ({old.get('model', '?')})" if other and not own else "by other settings"
        which = f", which differs in {', '.join(differs)}" if differs else ""
        raise RunExistsError(
            f"there is an evaluation {whose} already{which}",
            where=str(folder),
            fix="keep both with --variant NAME (two models: --name NAME); --replace puts the old into before-N",
        )
    if differs or other:
        keep_old(folder)


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Settings of a summary that differ from these; none for a summary without recorded settings."""
    if "settings" not in old:
        return []
    had = {**old["settings"], "seed": old.get("seed")}
    wanted = json.loads(json.dumps(dict(new)))
    return [key for key in {**wanted, **had} if had.get(key) != wanted.get(key)]


def keep_old(folder: Path) -> None:
    """Move the files that are about to be replaced, unchanged, to the next free number."""
    number = 1
    while (old := folder / f"before-{number}").exists():
        number += 1
    old.mkdir()
    for name in KEPT:
        if not (folder / name).exists():
            continue
        try:
            os.link(folder / name, old / name)
        except OSError:  # a file system without links
            shutil.copy2(folder / name, old / name)
