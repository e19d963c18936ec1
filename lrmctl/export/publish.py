"""Writes a run's model as a folder to publish: weights, tokenizer, card, lock, figures, cards of built data.

Texts of prompts and completions stay out unless they are asked for.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from lrmctl.errors import LrmctlError, NotFoundError
from lrmctl.export.model_card import model_card
from lrmctl.export.published_run import LOCKED, PublishedRun, started_from, without_paths
from lrmctl.export.source import ExportedEvaluation, new_folder
from lrmctl.models.importing.licence import UNKNOWN, licence_files
from lrmctl.runs.damage import read_object
from lrmctl.runs.writing import write_json

CARD, LOCK, RECIPE, EVALUATION, DATA = "README.md", "lock.json", "recipe.yaml", "evaluation", "data"


class _WithoutPaths(ExportedEvaluation):
    """An evaluation whose card names no folder of this machine."""

    @cached_property
    def summary(self) -> dict[str, Any]:
        return dict(without_paths(read_object(self.folder / "summary.json")))


def write_published(run: PublishedRun, out: Path, *, link: bool = False) -> list[str]:
    """Write everything to the new folder `out`; returns cautions for whoever publishes.

    Args:
        link: hard-link the weights where the file system allows; only for a folder that nobody edits.

    Raises:
        NotFoundError: the run has no model.
        LrmctlError: it is being trained, or `out` is not empty.
    """
    from lrmctl.runs.overview import refuse_running

    refuse_running(run.folder)
    model = run.folder.model
    if not any((model / name).is_file() for name in ("config.json", "adapter_config.json")):
        raise NotFoundError(f"the run {run.name!r} has no model", str(model), "publish a run whose training is done")
    if not run.lock:
        raise LrmctlError("the run has no lock.json, so that nobody knows what it is", str(run.folder.path))
    new_folder(out)
    for file in sorted(path for path in model.rglob("*") if path.is_file() and path.name != CARD):
        _place(file, out / file.relative_to(model), link)
    for file in licence_files(started_from(run.folder) or model):
        if not (out / file.name).exists():
            shutil.copyfile(file, out / file.name)
    write_json(out / LOCK, run.lock)
    _write_recipe(run.recipe, out / RECIPE)
    if run.entries:
        from lrmctl.export.hugging_face import write_hugging_face

        write_hugging_face(_WithoutPaths(run.evaluation, run.name, text=run.text), out / EVALUATION)
    for name, folder in run.builds.items():
        _describe_build(folder, out / DATA / name, run.text)
    (out / CARD).write_text(model_card(run), encoding="utf-8")
    return _cautions(run)


def _cautions(run: PublishedRun) -> list[str]:
    told = []
    if run.licence.name == UNKNOWN:
        told.append(f"the licence of the weights is not known ({run.licence.found_in}); state it with --licence")
    if not run.entries:
        told.append("it has not been evaluated: its card has no figures")
    if run.text:
        told.append("prompts and completions are in it, harmful ones too")
    return told


def _place(file: Path, target: Path, link: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if link:
        try:
            os.link(file, target)
            return
        except OSError:  # another file system, or one without links
            pass
    shutil.copyfile(file, target)


def _write_recipe(recipe: Mapping[str, Any], file: Path) -> None:
    import yaml

    file.write_text(yaml.safe_dump(dict(recipe), sort_keys=False, allow_unicode=True), encoding="utf-8")


def _describe_build(folder: Path, out: Path, text: bool) -> None:
    """The card of a build, and its rows where texts are published."""
    out.mkdir(parents=True)
    names = [CARD, *(["rows.jsonl"] if text else [])]
    for name in names:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, out / name)
    if (folder / "lock.json").is_file():
        lock = read_object(folder / "lock.json")
        write_json(out / LOCK, without_paths({key: lock[key] for key in LOCKED if key in lock}))
