"""Models by reference: `lab:tiny`, a local folder, `run:NAME`, or a hub id; and what identifies a checkpoint."""

from __future__ import annotations

import hashlib
from pathlib import Path

from lrmctl.errors import NotFoundError
from lrmctl.models.files import identity_files
from lrmctl.models.folder import Head, problem_of
from lrmctl.models.hub import download, is_hub_id
from lrmctl.runs.names import named_run


def resolve_model(ref: str, runs_dir: Path, *, head: Head = "text", whole: bool = True) -> Path:
    """The local folder of a model reference, absolute; a hub id is downloaded into the hub's own cache.

    Args:
        head: what the model has to put out: text, or the one number of a reward model.
        whole: weights and tokenizer have to be there; otherwise a configuration will do for planning.

    Raises:
        NotFoundError: nothing by that name, or a folder that is not a model.
    """
    if ref == "lab:tiny":
        from lrmctl.lab import base_path

        return base_path()
    if ref.startswith("run:"):
        path = runs_dir / named_run(ref) / "model"
        if not path.is_dir():
            raise NotFoundError(f"no model {ref!r}: there is no {path}", fix="lrmctl run list")
        return _checked(path, ref, head, whole)
    try:
        path = Path(ref).expanduser()
        there = bool(ref.strip()) and path.exists()
    except (OSError, RuntimeError, ValueError):  # a name too long, an unknown home, a NUL
        there = False
    if there:
        return _checked(path, ref, head, whole)
    if not is_hub_id(ref):
        raise NotFoundError(f"no model {ref!r}", fix="give a local folder, a hub id (owner/name), run:NAME or lab:tiny")
    return _checked(download(ref), ref, head, whole)


def _checked(path: Path, ref: str, head: Head, whole: bool) -> Path:
    if found := problem_of(path, head, whole=whole):
        raise NotFoundError(f"no model {ref!r}: it {found.what}", str(path), found.fix)
    return path.absolute()  # trainers run in a folder of their own


def fingerprint(path: Path) -> str:
    """16 hex digits of sha256 over weights, configuration, tokenizer and chat templates: all that decides outputs.

    The same for a folder and for the hub's repository that it is a copy of, whatever else lies in either.
    """
    total = hashlib.sha256()
    for name in identity_files(path):
        with (path / name).open("rb") as data:
            total.update(name.encode() + hashlib.file_digest(data, "sha256").digest())
    return total.hexdigest()[:16]
