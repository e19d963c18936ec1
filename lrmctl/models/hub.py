"""Models of the hub: every file that plays a part in them is fetched into the hub's own cache."""

from __future__ import annotations

import glob
from pathlib import Path

from lrmctl.errors import LrmctlError, NotFoundError
from lrmctl.models.files import ADAPTER_CONFIG, read_object, wanted, weights_of


def is_hub_id(ref: str) -> bool:
    """Whether a reference names a model on the hub, downloaded or not: no run, nothing on this machine's disk."""
    if ref.startswith(("run:", ".", "/", "~")) or ref.count("/") != 1 or not all(ref.split("/")):
        return False
    return not Path(ref).expanduser().exists()


def download(ref: str) -> Path:
    """The newest snapshot of a model. Where the hub cannot be asked, the newest one that was fetched before.

    Raises:
        NotFoundError: no such model, no access to it, no connection, or nothing in it that can be loaded.
    """
    from huggingface_hub import HfApi, snapshot_download

    try:
        names = HfApi().list_repo_files(ref)
        return Path(snapshot_download(ref, allow_patterns=[glob.escape(name) for name in _chosen(ref, names)]))
    except LrmctlError:
        raise
    except Exception as error:  # network, gating, bad id: the hub's own words say which
        if kept := _kept(ref):
            return kept
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise NotFoundError(
            f"cannot get model {ref!r} from the hub: {reason}",
            fix="check the id, `hf auth login` for gated models, or give a local folder",
        ) from error


def _chosen(ref: str, names: list[str]) -> list[str]:
    """What to fetch of a repository that holds these files.

    Raises:
        NotFoundError: there are no weights in it that transformers loads, or some are missing.
    """
    from huggingface_hub import hf_hub_download

    def read(name: str) -> dict[str, object]:
        return read_object(Path(hf_hub_download(ref, name)))

    from lrmctl.models.folder import without_weights

    try:
        weights, chosen = weights_of(names, read), wanted(names, read)
    except ValueError as error:
        raise NotFoundError(f"the repository {ref!r} is damaged: {error}", fix="ask its owners") from None
    if weights is None:
        what, fix = without_weights(names)
        raise NotFoundError(f"no model {ref!r}: the repository {what}", fix=fix)
    if missing := [name for name in weights.files if name not in names]:
        what = f"the repository {ref!r} lacks {missing[0]}, one of {len(missing)} shards that {weights.index} names"
        raise NotFoundError(what, fix="ask its owners, or use another one")
    if "config.json" not in names and ADAPTER_CONFIG not in names:
        raise NotFoundError(f"no model {ref!r}: the repository has no config.json", fix="give a transformers model")
    return chosen


def _kept(ref: str) -> Path | None:
    """A snapshot that was fetched before and is whole."""
    from lrmctl.models.availability import hub_snapshot
    from lrmctl.models.folder import problem_of

    snapshot = hub_snapshot(ref)
    return snapshot if snapshot and problem_of(snapshot) is None else None
