"""What makes an evaluation this one: settings, seed and model; and what to do where another one lies already.

An evaluation is never replaced without being told to, and then what was there is kept beside, in `before-N/`.
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
    """All that decides about the figures of an evaluation, model and seed apart. Where it runs is no part of it."""
    told = section.model_dump(mode="json")
    safety = [chosen.model_dump(mode="json") for chosen in section.judged()]
    return {key: value for key, value in {**told, "safety": safety}.items() if key not in _HOW_ONLY}


def claim(folder: Path, settings: Mapping[str, Any], seed: int, fingerprint: str, *, replace: bool, own: bool) -> None:
    """See that the folder holds no finished evaluation, or this very one; with `replace` put another one aside.

    Args:
        own: the model is the one that the run made, so that another fingerprint means that it was trained further.

    Raises:
        RunExistsError: an evaluation by other settings, or of another model, is there.
    """
    try:
        old = read_object(folder / "summary.json")
    except DamagedError:  # it is written anew, and no figures are lost
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
    """Settings of a summary that are not these; none of one from before settings were written down."""
    if "settings" not in old:
        return []
    had = {**old["settings"], "seed": old.get("seed")}
    wanted = json.loads(json.dumps(dict(new)))
    return [key for key in {**wanted, **had} if had.get(key) != wanted.get(key)]


def keep_old(folder: Path) -> None:
    """The files that are about to be replaced, as they are, under the next free number."""
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
