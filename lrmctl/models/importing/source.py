"""Finds what SOURCE is, and brings it onto this machine if it is on the hub."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lrmctl.errors import LrmctlError, NotFoundError
from lrmctl.models.adapter import base_name
from lrmctl.models.files import files_in, reader, weights_of
from lrmctl.models.folder import is_adapter
from lrmctl.models.hub import download_file, is_hub_id
from lrmctl.models.import_command import import_command
from lrmctl.models.resolve import base_of, resolve_model

Kind = Literal["folder", "adapter", "GGUF file"]


@dataclass(frozen=True)
class Source:
    """A model to import, on this machine.

    Attributes:
        reference: as the user named it.
        path: the model's folder, or the GGUF file.
        revision: the commit on the hub; empty if it does not come from there.
        base: the adapter's base, as its configuration or the user names it.
    """

    reference: str
    kind: Kind
    path: Path
    revision: str = ""
    base: str = ""

    @property
    def folders(self) -> list[tuple[str, Path]]:
        """Folders that may hold the licence and the model card, each with what it is to the model."""
        if self.kind == "adapter":
            return [("adapter", self.path), ("base", base_of(self.path))]
        return [("", self.path if self.path.is_dir() else self.path.parent)]


def find_source(ref: str, runs_dir: Path, *, revision: str | None = None, trust_remote_code: bool = False) -> Source:
    """Find a model by its reference.

    Args:
        revision: branch, tag or commit of a hub repository.

    Raises:
        NotFoundError: there is no such model, or it is not a usable one.
        LrmctlError: a revision is given for something that does not come from the hub.
    """
    local = _local(ref)
    repository, file = _hub_file(ref) if local is None else ("", "")
    if revision is not None and not (file or (local is None and is_hub_id(ref))):
        raise LrmctlError(f"{ref} is not on the hub, so it has no revision", "--revision", "leave --revision out")
    if file:
        path = download_file(repository, file, revision)
        return Source(ref, "GGUF file", path, _commit(path))
    if local is not None and (gguf := _gguf_of(local)):
        return Source(ref, "GGUF file", gguf)
    path = resolve_model(ref, runs_dir, trust_remote_code=trust_remote_code, revision=revision)
    if is_adapter(path):
        return Source(ref, "adapter", path, _commit(path), base_name(path))
    return Source(ref, "folder", path, _commit(path))


def _local(ref: str) -> Path | None:
    try:
        path = Path(ref).expanduser()
        return path if ref.strip() and path.exists() else None
    except (OSError, RuntimeError, ValueError):  # `resolve_model` reports such names
        return None


def _hub_file(ref: str) -> tuple[str, str]:
    """Repository and file of `owner/name/file.gguf`; empty if it is something else."""
    parts = ref.split("/")
    if len(parts) < 3 or not ref.endswith(".gguf") or not all(parts) or ref.startswith((".", "~")):
        return "", ""
    return "/".join(parts[:2]), "/".join(parts[2:])


def _gguf_of(path: Path) -> Path | None:
    """The GGUF file that is meant; None if the path is a model of another kind.

    Raises:
        NotFoundError: a folder holds several GGUF files and nothing else that can be loaded.
    """
    if path.is_file():
        with path.open("rb") as data:
            return path if data.read(4) == b"GGUF" or path.suffix == ".gguf" else None
    if not path.is_dir():
        return None
    names = files_in(path)
    found = [name for name in names if name.endswith(".gguf")]
    try:
        weights = weights_of(names, reader(path))
    except ValueError:  # a damaged index, which `resolve_model` reports
        return None
    if weights is not None or not found:
        return None
    if len(found) > 1:
        what = f"holds {len(found)} GGUF files: {', '.join(found[:4])}{', ...' if len(found) > 4 else ''}"
        raise NotFoundError(what, str(path), f"import one of them: {import_command(path / found[0])}")
    return path / found[0]


def _commit(path: Path) -> str:
    """The commit of a file or folder in the hub's cache; empty elsewhere."""
    parts = path.parts
    return parts[parts.index("snapshots") + 1] if "snapshots" in parts[:-1] else ""
