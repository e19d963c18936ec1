"""Models by reference: `lab:tiny`, a local folder, `run:NAME`, or a hub id; and what identifies a checkpoint."""

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
    ref: str, runs_dir: Path, *, head: Head = "text", whole: bool = True, trust_remote_code: bool = False
) -> Path:
    """The local folder of a model reference, absolute; a hub id is downloaded into the hub's own cache.

    Args:
        head: what the model has to put out: text, or the one number of a reward model.
        whole: weights and tokenizer have to be there; otherwise a configuration will do for planning.
        trust_remote_code: the user trusts the Python code in the model's folder, which may then run.

    Raises:
        NotFoundError: nothing by that name, or a folder that is not a model.
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
    except (OSError, RuntimeError, ValueError):  # a name too long, an unknown home, a NUL
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
    return _checked(download(ref), ref, head, whole, trust_remote_code)


def _checked(path: Path, ref: str, head: Head, whole: bool, trust: bool) -> Path:
    if trust:
        allow_code(path)
    if found := problem_of(path, head, whole=whole):
        raise NotFoundError(f"no model {ref!r}: it {found.what}", str(path), found.fix)
    if whole and is_adapter(path):
        base_of(path)
    return path.absolute()  # trainers run in a folder of their own


def fingerprint(path: Path) -> str:
    """16 hex digits of sha256 over weights, configuration, tokenizer and chat templates: all that decides outputs.

    The same for a folder and for the hub's repository that it is a copy of, whatever else lies in either. An adapter's
    covers its base, wherever that lies.
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
    """Of an adapter's configuration without the place of its base."""
    known = {key: value for key, value in read_object(file).items() if key != "base_model_name_or_path"}
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).digest()


def base_of(path: Path, *, whole: bool = True) -> Path:
    """The folder of an adapter's base; one of the hub is downloaded.

    Raises:
        NotFoundError: there is no such model.
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
    """Where a model's config.json lies: an adapter's is its base's, as far as that is on this machine."""
    if not is_adapter(path):
        return path
    named = base_name(path)
    if is_hub_id(named) and not (path / named).is_dir():
        from lrmctl.models.availability import hub_snapshot

        return hub_snapshot(named) or path
    return base_of(path, whole=False)


def model_facts(path: Path) -> dict[str, Any]:
    """What identifies a model, for a lock or a summary; an adapter's base by name and fingerprint."""
    facts: dict[str, Any] = {"path": str(path), "fingerprint": fingerprint(path)}
    if is_adapter(path):
        facts["base"] = {"name": base_name(path), "fingerprint": fingerprint(base_of(path))}
    return facts
