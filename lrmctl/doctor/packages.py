"""Checks of what is installed: Python, the libraries, OpenRLHF's own pins, and versions that were run together."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from importlib.util import find_spec

from msgspec import Struct

from lrmctl._util.toml_tables import read_entries
from lrmctl.doctor.check import Check, Machine

OPENRLHF = "0.11.2"
INSTALL = "on CUDA: pip install 'lrmctl[openrlhf]'; on CPU: make setup in a checkout, or lrmctl doctor --cpu-overrides"
ON_GPUS = ("flash-attn", "bitsandbytes", "pynvml")
"""Requirements of OpenRLHF that a machine without a GPU does without."""


class TestedVersions(Struct, frozen=True, forbid_unknown_fields=True):
    """Versions that were run together.

    Attributes:
        on: what they ran on, in words.
        ran: what was run.
        versions: by distribution; a version stands for all its releases after the last number that is given.
    """

    on: str
    ran: str
    versions: dict[str, str]


def tested_versions() -> dict[str, TestedVersions]:
    """The combinations of tested.toml by name.

    Raises:
        LrmctlError: an entry that does not match `TestedVersions`.
    """
    return read_entries(__package__, "tested.toml", TestedVersions)


@cache
def version(package: str) -> str | None:
    """The installed version of a distribution; None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def python(_: Machine) -> Iterator[Check]:
    """The interpreter."""
    yield Check("python", "ok", f"{sys.version.split()[0]} in {sys.prefix}")


def libraries(_: Machine) -> Iterator[Check]:
    """What every command needs, and what training needs."""
    for name, fix in (("transformers", "pip install lrmctl"), ("lm-eval", "pip install lrmctl")):
        yield _installed(name, fix)
    yield _openrlhf()
    yield from (_installed(name, INSTALL) for name in ("ray", "deepspeed"))


def pins(_: Machine) -> Iterator[Check]:
    """Whether what is installed is what OpenRLHF asks for; what a CPU does without is left out."""
    if version("openrlhf") is None:
        return
    if wrong := list(unmet_pins()):
        told = "; ".join(f"{asked}, found {found or 'nothing'}" for asked, found in wrong)
        names = " ".join(f"'{asked}'" for asked, _found in wrong)
        yield Check(
            "openrlhf's pins", "warn", f"OpenRLHF {version('openrlhf')} asks for {told}", f"pip install {names}"
        )
    else:
        yield Check("openrlhf's pins", "ok", "what OpenRLHF asks for is installed")


def unmet_pins() -> Iterator[tuple[str, str | None]]:
    """Requirements of OpenRLHF that are not met, each with the version found; needs OpenRLHF."""
    from packaging.requirements import Requirement

    gpu = _has_gpu()
    for line in metadata.requires("openrlhf") or ():
        asked = Requirement(line)
        if asked.marker is not None and not asked.marker.evaluate({"extra": ""}):
            continue
        if not gpu and asked.name in ON_GPUS:
            continue
        found = version(asked.name)
        pinned = any(one.operator in ("==", "===", ">=") for one in asked.specifier)
        if pinned and (found is None or not asked.specifier.contains(found, prereleases=True)):
            yield f"{asked.name}{asked.specifier}", found


def combination(_: Machine) -> Iterator[Check]:
    """Whether these versions were run together by us."""
    for tried in tested_versions().values():
        if all(_same(version(name), wanted) for name, wanted in tried.versions.items()):
            yield Check("versions", "ok", f"tested together: {tried.on} ({tried.ran})")
            return
    nearest = min(tested_versions().values(), key=_distance)
    differ = [
        f"{name} {version(name) or 'is missing'} (tested: {wanted})"
        for name, wanted in nearest.versions.items()
        if not _same(version(name), wanted)
    ]
    fix = "run `lrmctl train RECIPE --smoke` before a long run"
    yield Check("versions", "warn", f"not tested together; nearest is {nearest.on}: {', '.join(differ)}", fix)


def gpu_kernels(_: Machine) -> Iterator[Check]:
    """flash-attn and vLLM, which only a GPU needs."""
    for name in ("flash-attn", "vllm"):
        if found := version(name):
            module = name.replace("-", "_")
            broken = find_spec(module) is None
            yield Check(
                name, "fail" if broken else "ok", found, f"pip install --force-reinstall {name}" if broken else ""
            )
        elif _has_gpu():
            yield Check(name, "warn", "not installed; OpenRLHF uses it on GPUs", "pip install 'lrmctl[openrlhf]'")
        else:
            yield Check(name, "ok", "not installed; not needed without a GPU")


def _installed(name: str, fix: str) -> Check:
    found = version(name)
    return Check(name, "ok", found) if found else Check(name, "fail", "not installed", fix)


def _openrlhf() -> Check:
    found = version("openrlhf")
    if found is None:
        return Check("openrlhf", "fail", "not installed: nothing can be trained", INSTALL)
    if found != OPENRLHF:
        return Check("openrlhf", "warn", f"{found}; tested with {OPENRLHF}", f"pip install openrlhf=={OPENRLHF}")
    return Check("openrlhf", "ok", found)


def _has_gpu() -> bool:
    from lrmctl.doctor.hardware import nvidia_gpus

    return bool(nvidia_gpus())


def _same(found: str | None, wanted: str) -> bool:
    """Whether a version is the tested one; a local part such as `+cpu` says nothing of the release."""
    plain = (found or "").partition("+")[0]
    return plain == wanted or plain.startswith(f"{wanted}.")


def _distance(tried: TestedVersions) -> int:
    return sum(not _same(version(name), wanted) for name, wanted in tried.versions.items())
