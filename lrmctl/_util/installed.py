"""Versions of installed packages, without importing them."""

from __future__ import annotations

from importlib import metadata
from platform import python_version


def versions_of(*packages: str) -> dict[str, str | None]:
    """Python's version and those of packages; None for what is not installed."""
    return {"python": python_version(), **{package: _version(package) for package in packages}}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
