"""Resolves model references (`lab:tiny`, a local folder, `run:NAME`, or a hub id) and computes fingerprints."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from lrmctl.errors import NotFoundError
from lrmctl.models.adapter import base_name, how_to_name_base, with_base
from lrmctl.models.code import allow_code
from lrmctl.models.files import ADAPTER_CONFIG, identity_files, read_object
from lrmctl.models.folder import Head, is_adapter, problem_of
from lrmctl.models.hub import download, is_hub_id
from lrmctl.runs.names import named_run, runs_folder


def resolve_model(
    ref: str,
    runs_dir: Path,
    *,
    head: Head = "text",
    whole: bool = True,
    trust_remote_code: bool = False,
    revision: str | None = None,
) -> Path:
    """The absolute local folder of a model reference; a hub id is downloaded into the hub's own cache.

    Args:
        head: the required output: text, or the one number of a reward model.
        whole: weights and tokenizer are required; otherwise a configuration suffices, for planning.
        trust_remote_code: the user trusts the Python code in the model's folder, which may then run.
        revision: branch, tag or commit of a hub id.

    Raises:
        NotFoundError: there is no such model, or the folder is not a usable model.
    """
    if ref == "lab:tiny":
        from lrmctl.models.shipped import base_path

        return base_path()
    if ref.startswith("run:"):
        path = runs_dir / named_run(ref) / "model"
        if not path.is_dir():
            raise NotFoundError(f"no model {ref!r}: there is no {path}", fix="lrmctl run list")
        return _checked(path, ref, head, whole, trust_remote_code)
    try:
        path = Path(ref).expanduser()
        there = bool(ref.strip()) and path.exists()
    except (OSError, RuntimeError, ValueError):  # name too long, unknown home, NUL byte
        there = False
    if there:
        return _checked(path, ref, head, whole, trust_remote_code)
    base, joined, adapter = ref.partition("+")
    if joined and base and adapter:
        found = resolve_model(adapter, runs_dir, head=head, whole=False)
        if not is_adapter(found):
            raise NotFoundError(f"no model {ref!r}: {adapter} is no adapter", fix="say BASE+ADAPTER")
        return with_base(found, resolve_model(base, runs_dir, whole=whole, trust_remote_code=trust_remote_code))
    if not is_hub_id(ref):
        raise NotFoundError(f"no model {ref!r}", fix="give a local folder, a hub id (owner/name), run:NAME or lab:tiny")
    return _checked(download(ref, revision), ref, head, whole, trust_remote_code)


def is_local_model(ref: str) -> bool:
    """Whether a reference names something on this machine: `run:NAME`, `lab:tiny` or a path that is there."""
    try:
        return ref == "lab:tiny" or ref.startswith("run:") or (bool(ref.strip()) and Path(ref).expanduser().exists())
    except (OSError, RuntimeError, ValueError):
        return False


def _checked(path: Path, ref: str, head: Head, whole: bool, trust: bool) -> Path:
    if trust:
        allow_code(path)
    if found := problem_of(path, head, whole=whole):
        raise NotFoundError(f"no model {ref!r}: it {found.what}", str(path), found.fix)
    if whole and is_adapter(path):
        base_of(path)
    return path.absolute()  # trainers run in another working directory


def fingerprint(path: Path) -> str:
    """First 16 hex digits of the sha256 over all that determines outputs: weights, configuration, tokenizer, templates.

    The same for a folder and the hub repository that it is a copy of, whatever other files either contains. An
    adapter's includes its base's, wherever that is stored.
    """
    total = hashlib.sha256()
    adapter = is_adapter(path)
    for name in identity_files(path):
        if adapter and name == ADAPTER_CONFIG:
            total.update(name.encode() + _config_digest(path / name))
            continue
        with (path / name).open("rb") as data:
            total.update(name.encode() + hashlib.file_digest(data, "sha256").digest())
    if adapter:
        total.update(fingerprint(base_of(path)).encode())
    return total.hexdigest()[:16]


def _config_digest(file: Path) -> bytes:
    """Digest of an adapter's configuration without the path of its base."""
    known = {key: value for key, value in read_object(file).items() if key != "base_model_name_or_path"}
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).digest()


def base_of(path: Path, *, whole: bool = True) -> Path:
    """The folder of an adapter's base, downloaded if it is on the hub.

    Raises:
        NotFoundError: there is no such model, or it is an adapter itself.
    """
    named = base_name(path)
    beside = path / named
    try:
        found = resolve_model(str(beside) if beside.is_dir() else named, runs_folder(), whole=whole)
    except NotFoundError as error:
        raise NotFoundError(
            f"the adapter's base cannot be had: {error.what}", str(path), how_to_name_base(path)
        ) from error
    if is_adapter(found):
        raise NotFoundError("the adapter's base is an adapter itself", str(found), "merge that one first")
    return found


def config_folder(path: Path) -> Path:
    """The folder with a model's config.json; for an adapter its base's, if that is on this machine."""
    if not is_adapter(path):
        return path
    named = base_name(path)
    if is_hub_id(named) and not (path / named).is_dir():
        from lrmctl.models.availability import hub_snapshot

        return hub_snapshot(named) or path
    return base_of(path, whole=False)


def model_facts(path: Path) -> dict[str, Any]:
    """Path and fingerprint of a model, for a lock file or summary; for adapters also the name and fingerprint of the
    base."""
    facts: dict[str, Any] = {"path": str(path), "fingerprint": fingerprint(path)}
    if is_adapter(path):
        facts["base"] = {"name": base_name(path), "fingerprint": fingerprint(base_of(path))}
    return facts
