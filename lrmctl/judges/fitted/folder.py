"""A fitted judge on disk. Data only: loading it cannot run any code.

    judge.json           the manifest, with the SHA-256 of the other two files
    weights.safetensors  weights [features]; inverse document frequencies [terms] of each field
    vocabulary.json      terms of each field

The fingerprint is the SHA-256 of the manifest, which changes with every number of the judge.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl.errors import JudgeError, LrmctlError, NotFoundError, RunExistsError
from lrmctl.judges.fitted.manifest import FORMAT, FileSums, FittedManifest, TfidfSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

MANIFEST, WEIGHTS, VOCABULARY = "judge.json", "weights.safetensors", "vocabulary.json"
_FIX = "fit it again: `lrmctl judge fit`"


@dataclass(frozen=True)
class FittedFolder:
    """A judge's files, read and checked.

    Attributes:
        weights: [features].
        terms, inverse_frequencies: of each field; empty for hidden states.
    """

    manifest: FittedManifest
    fingerprint: str
    weights: Vector
    terms: Mapping[str, Sequence[str]]
    inverse_frequencies: Mapping[str, Vector]


def check_free(folder: Path, *, force: bool = False) -> None:
    """Check that a judge can be written to this folder without losing anything else.

    Raises:
        LrmctlError: it is not a folder, or it contains other files, or a judge and `force` is False.
    """
    from lrmctl.runs.output import refuse_no_folder, refuse_special

    refuse_no_folder(folder, "--out")
    if not folder.exists():
        refuse_special(folder, "--out")
        return
    there = {path.name for path in folder.iterdir()}
    if foreign := sorted(there - {MANIFEST, WEIGHTS, VOCABULARY}):
        what = f"holds files that are no fitted judge's, and is not replaced: {', '.join(foreign[:3])}"
        raise RunExistsError(what, f"--out {folder}", "name another folder")
    if there and not force:
        raise RunExistsError("holds a fitted judge already", f"--out {folder}", "name another folder, or add --force")


def write_folder(
    folder: Path,
    manifest: Mapping[str, Any],
    weights: Vector,
    terms: Mapping[str, Sequence[str]],
    inverse_frequencies: Mapping[str, Vector],
) -> FittedManifest:
    """Write the three files, the manifest last: a folder without one is no judge.

    Args:
        manifest: fields of `FittedManifest` without `format` and `files`.

    Raises:
        LrmctlError: the folder cannot be written.
    """
    from safetensors.numpy import save

    tensors = {"weights": weights, **{f"inverse_frequencies.{name}": v for name, v in inverse_frequencies.items()}}
    binary, words = save(tensors), json.dumps(terms, ensure_ascii=False).encode()
    sums = FileSums(_sha256(binary), _sha256(words))
    whole = FittedManifest(format=FORMAT, files=sums, **manifest)  # type: ignore[arg-type]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MANIFEST).unlink(missing_ok=True)
        (folder / WEIGHTS).write_bytes(binary)
        (folder / VOCABULARY).write_bytes(words)
        (folder / MANIFEST).write_bytes(encoded(whole))
    except OSError as error:
        raise LrmctlError(f"cannot be written: {error.strerror}", str(folder), "give another `--out`") from error
    return whole


def encoded(manifest: FittedManifest) -> bytes:
    """The manifest as it is on disk."""
    import msgspec

    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def read_manifest(folder: Path) -> tuple[FittedManifest, str]:
    """The manifest and the judge's fingerprint; reads one small file.

    Raises:
        NotFoundError: there is no fitted judge.
        JudgeError: the manifest cannot be read.
    """
    import msgspec

    path = folder.expanduser() / MANIFEST
    try:
        raw = path.read_bytes()
    except (OSError, ValueError):
        fix = "give a folder that `lrmctl judge fit` wrote"
        raise NotFoundError(f"there is no fitted judge in {str(folder)[:200]!r}: no {MANIFEST}", fix=fix) from None
    try:
        return msgspec.json.decode(raw, type=FittedManifest), _sha256(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise JudgeError(f"is no manifest of a fitted judge: {error}", str(path), _FIX) from error


def read_folder(folder: Path) -> FittedFolder:
    """The judge, with its files checked against the manifest.

    Raises:
        NotFoundError: there is no fitted judge.
        JudgeError: a file is missing, was changed, or does not fit the others.
    """
    manifest, fingerprint = read_manifest(folder)
    folder = folder.expanduser()
    binary = _checked(folder / WEIGHTS, manifest.files.weights)
    words = _checked(folder / VOCABULARY, manifest.files.vocabulary)
    try:
        weights, terms, frequencies = _contents(binary, words)
    except Exception as error:  # safetensors has errors of its own, which derive from Exception only
        raise JudgeError(f"cannot be read: {error}", str(folder / WEIGHTS), _FIX) from error
    if why := _misfit(manifest, weights, terms, frequencies):
        raise JudgeError(f"its files do not fit together: {why}", str(folder), _FIX)
    return FittedFolder(manifest, fingerprint, weights, terms, frequencies)


def fitted_on(folder: Path, file: Path) -> bool:
    """Whether a judge was fitted on this file.

    Raises:
        LrmctlError: there is no fitted judge in the folder.
    """
    from lrmctl.rows.files import file_sha256

    return file_sha256(file) in {source.sha256 for source in read_manifest(folder)[0].sources}


def _contents(binary: bytes, words: bytes) -> tuple[Vector, dict[str, list[str]], dict[str, Vector]]:
    import msgspec
    from safetensors.numpy import load

    tensors = load(binary)
    frequencies = {k.removeprefix("inverse_frequencies."): v for k, v in tensors.items() if k != "weights"}
    return tensors["weights"], msgspec.json.decode(words, type=dict[str, list[str]]), frequencies


def _misfit(
    manifest: FittedManifest,
    weights: Vector,
    terms: Mapping[str, Sequence[str]],
    frequencies: Mapping[str, Vector],
) -> str:
    import numpy as np

    if weights.ndim != 1 or any(one.ndim != 1 for one in frequencies.values()):
        return "there is a table where a list of numbers has to be"
    fields = [f.name for f in manifest.features.fields] if isinstance(manifest.features, TfidfSettings) else []
    if sorted(fields) != sorted(terms) or sorted(fields) != sorted(frequencies):
        return "the fields differ"
    if any(len(terms[name]) != len(frequencies[name]) for name in fields):
        return "there are terms without a document frequency"
    if fields and sum(len(terms[name]) for name in fields) != len(weights):
        return "there are terms without a weight"
    numbers = np.concatenate([weights, *(frequencies[name] for name in fields)])
    return "" if np.isfinite(numbers).all() else "there is a number that is none"


def _checked(path: Path, sha256: str) -> bytes:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise JudgeError(f"a file of the fitted judge cannot be read: {error.strerror}", str(path), _FIX) from None
    if _sha256(raw) != sha256:
        raise JudgeError("was changed after the judge was fitted: its SHA-256 is another one", str(path), _FIX)
    return raw


def _sha256(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
