"""Downloads models from the hub, with all relevant files, into the hub's own cache."""

from __future__ import annotations

import glob
from contextlib import suppress
from pathlib import Path

from lrmctl.errors import LrmctlError, NotFoundError
from lrmctl.models.files import ADAPTER_CONFIG, read_object, wanted, weights_of


def is_hub_id(ref: str) -> bool:
    """Whether a reference is a hub id, downloaded or not, rather than a run or a local path."""
    if ref.startswith(("run:", ".", "/", "~")) or ref.count("/") != 1 or not all(ref.split("/")):
        return False
    return not Path(ref).expanduser().exists()


def download(ref: str, revision: str | None = None) -> Path:
    """Download a model's newest snapshot; if the hub is unreachable, use the newest one downloaded before.

    Args:
        revision: branch, tag or commit; the main branch by default.

    Raises:
        NotFoundError: no such model, no access, no connection, or nothing that can be loaded.
    """
    from huggingface_hub import HfApi, snapshot_download

    try:
        names = HfApi().list_repo_files(ref, revision=revision)
        chosen = [glob.escape(name) for name in _chosen(ref, names, revision)]
        return Path(snapshot_download(ref, revision=revision, allow_patterns=chosen))
    except LrmctlError:
        raise
    except Exception as error:  # network, gating, bad id: the hub's message says which
        if kept := _kept(ref, revision):
            return kept
        raise _not_had(f"model {ref!r}", error) from error


def download_file(ref: str, name: str, revision: str | None = None) -> Path:
    """Download one file of a repository, with its model card if there is one; or use what was downloaded before.

    Raises:
        NotFoundError: no such file, no access or no connection.
    """
    from huggingface_hub import hf_hub_download, snapshot_download

    try:
        path = Path(hf_hub_download(ref, name, revision=revision))
    except Exception as error:  # network, gating, bad id: the hub's message says which
        raise _not_had(f"{name} of {ref!r}", error) from error
    with suppress(Exception):  # the licence is unknown then, and said to be
        snapshot_download(ref, revision=revision, allow_patterns=["README.md", "LICENSE*"])
    return path


def _not_had(what: str, error: Exception) -> NotFoundError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    fix = "check the id, `hf auth login` for gated models, or give a local folder"
    return NotFoundError(f"cannot get {what} from the hub: {reason}", fix=fix)


def _chosen(ref: str, names: list[str], revision: str | None) -> list[str]:
    """The files to download from a repository with these files.

    Raises:
        NotFoundError: it has no weights that transformers loads, or lacks some files.
    """
    from huggingface_hub import hf_hub_download

    def read(name: str) -> dict[str, object]:
        return read_object(Path(hf_hub_download(ref, name, revision=revision)))

    from lrmctl.models.folder import without_weights

    try:
        weights, chosen = weights_of(names, read), wanted(names, read)
    except ValueError as error:
        raise NotFoundError(f"the repository {ref!r} is damaged: {error}", fix="ask its owners") from None
    if weights is None:
        what, fix = without_weights(names, ref)
        raise NotFoundError(f"no model {ref!r}: the repository {what}", fix=fix)
    if missing := [name for name in weights.files if name not in names]:
        what = f"the repository {ref!r} lacks {missing[0]}, one of {len(missing)} shards that {weights.index} names"
        raise NotFoundError(what, fix="ask its owners, or use another one")
    if "config.json" not in names and ADAPTER_CONFIG not in names:
        raise NotFoundError(f"no model {ref!r}: the repository has no config.json", fix="give a transformers model")
    return chosen


def _kept(ref: str, revision: str | None) -> Path | None:
    """A complete snapshot that was downloaded before."""
    from lrmctl.models.availability import hub_snapshot
    from lrmctl.models.folder import problem_of

    snapshot = hub_snapshot(ref, revision=revision)
    return snapshot if snapshot and problem_of(snapshot) is None else None
