"""Versions of installed packages, without importing them."""

from __future__ import annotations

from importlib import metadata
from platform import python_version


def versions_of(*packages: str) -> dict[str, str | None]:
    """Python's version and those of packages; None for what is not installed."""
    return {"python": python_version(), **{package: version_of(package) for package in packages}}


def version_of(package: str) -> str | None:
    """The version of an installed package; None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
