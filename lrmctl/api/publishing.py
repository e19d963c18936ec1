"""Publishing a run's model: a folder with everything that belongs to it, and its upload."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lrmctl.api.recipes import runs_in
from lrmctl.api.targets import run_folder
from lrmctl.errors import LrmctlError

if TYPE_CHECKING:
    from lrmctl.export.published_run import PublishedRun

STAGED = "publish"
"""Folder in a run's own for what is published; what is uploaded is made anew every time."""


@dataclass(frozen=True)
class Published:
    """What was published.

    Attributes:
        folder: its files.
        url: of the repository; empty for a folder.
    """

    folder: Path
    url: str = ""


def publish(
    run: str | Path,
    to: Literal["folder", "hub"] = "folder",
    *,
    out: str | Path | None = None,
    repo: str | None = None,
    public: bool = False,
    with_data: bool = False,
    with_text: bool = False,
    licence: str = "",
    runs_dir: str | Path | None = None,
    on_warning: Callable[[str], None] = lambda _: None,
) -> Published:
    """Publish the model of a training run with its card, lock and figures, as `lrmctl publish` does.

    Args:
        run: `run:NAME`, its name, or its folder; `NAME@VARIANT` for the figures of a variant.
        to: `folder` writes to `out`; `hub` uploads to `repo`, which is private unless `public`.
        out: a new folder; `publish/folder` in the run's own by default.
        repo: `ORG/NAME`; needs a token of the hub (`hf auth login`, or HF_TOKEN).
        with_data: cards of the data sets that were built for the training.
        with_text: texts of prompts and completions too, harmful ones among them.
        licence: of the weights, as the hub names it; that of the base by default.
        on_warning: called with each caution.

    Raises:
        NotFoundError: there is no such run, or it has no model.
        LrmctlError: `out` is not empty, there is no token, or the hub refuses.
    """
    from lrmctl.export.publish import write_published
    from lrmctl.export.published_run import PublishedRun
    from lrmctl.runs.folder import RunFolder, eval_folder

    if (to == "hub") != (repo is not None):
        what = "a repository is needed" if to == "hub" else "a repository is for the hub"
        raise LrmctlError(what, "--repo", "say --to hub --repo ORG/NAME, or --to folder")
    with runs_in(runs_dir) as runs:
        name, _, variant = str(run).partition("@") if not Path(run).exists() else (str(run), "", "")
        folder = RunFolder(run_folder(name, runs))
        title = repo.rpartition("/")[2] if repo else folder.name
        evaluation = eval_folder(folder.path, variant)
        if variant and not (evaluation / "summary.json").is_file():
            raise LrmctlError(f"{name} has no evaluation {variant!r}", str(evaluation), "lrmctl eval makes one")
        published = PublishedRun(folder, title, evaluation, with_text, with_data, licence)
        if to == "folder":
            target = Path(out) if out is not None else folder.path / STAGED / "folder"
            for caution in write_published(published, target):
                on_warning(caution)
            return Published(target)
        return _to_hub(published, str(repo), public, on_warning)


def _to_hub(published: PublishedRun, repo: str, public: bool, on_warning: Callable[[str], None]) -> Published:
    from lrmctl.export.hub import hub_api, upload
    from lrmctl.export.publish import write_published

    api = hub_api()
    target = published.folder.path / STAGED / repo.replace("/", "--")
    shutil.rmtree(target, ignore_errors=True)
    for caution in write_published(published, target, link=True):
        on_warning(caution)
    message = f"Publish {published.name} with lrmctl"
    return Published(target, upload(api, target, repo, private=not public, message=message))
