"""Checks of the machine and the installation, as data: what was checked, the verdict, the reason and the fix.

Runs and installs nothing. The CLI displays the checks.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

OPENRLHF = "0.11.2"
_LEAST_FREE = 2 * 1024**3  # bytes; a study of the tiny LRM needs a tenth of this, a real checkpoint far more
_INSTALL = "on CUDA: pip install 'lrmctl[openrlhf]'; on CPU: make setup in a checkout"


@dataclass(frozen=True)
class Check:
    """The result of one check. `fail` means that some command will not work."""

    id: str
    verdict: Literal["ok", "warn", "fail"]
    reason: str
    fix: str = ""


def examine(runs_dir: Path) -> list[Check]:
    """All checks, in the order in which they matter. Imports torch."""
    checks: tuple[Callable[[], Check], ...] = (
        _python,
        lambda: _package("transformers"),
        lambda: _package("lm-eval"),
        _device,
        _openrlhf,
        lambda: _package("ray", _INSTALL),
        lambda: _package("deepspeed", _INSTALL),
        lambda: _writable(runs_dir),
        lambda: _disk(runs_dir),
        _plugins,
    )
    return [check() for check in checks]


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _python() -> Check:
    return Check("python", "ok", f"{sys.version.split()[0]} in {sys.prefix}")


def _package(name: str, fix: str = "pip install lrmctl") -> Check:
    version = _version(name)
    return Check(name, "ok", version) if version else Check(name, "fail", "not installed", fix)


def _device() -> Check:
    try:
        import torch
    except ImportError as error:
        return Check("torch", "fail", f"cannot be imported: {error}", "pip install torch")
    if torch.cuda.is_available():
        return Check("torch", "ok", f"{torch.__version__}, {torch.cuda.device_count()} CUDA device(s)")
    return Check("torch", "ok", f"{torch.__version__}, CPU only: {os.cpu_count()} processors; enough for the tiny LRM")


def _openrlhf() -> Check:
    version = _version("openrlhf")
    if version is None:
        return Check("openrlhf", "fail", "not installed: nothing can be trained", _INSTALL)
    if version != OPENRLHF:
        return Check("openrlhf", "warn", f"{version}; tested with {OPENRLHF}", f"pip install openrlhf=={OPENRLHF}")
    return Check("openrlhf", "ok", version)


def _existing(folder: Path) -> Path:
    """The folder, or its nearest existing ancestor."""
    folder = folder.absolute()
    return next(p for p in (folder, *folder.parents) if p.exists())


def _writable(runs_dir: Path) -> Check:
    folder = _existing(runs_dir)
    if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
        return Check("runs", "ok", f"{runs_dir} can be written")
    return Check("runs", "fail", f"{folder} cannot be written", "choose another --runs-dir or set LRMCTL_RUNS")


def _disk(runs_dir: Path) -> Check:
    free = shutil.disk_usage(_existing(runs_dir)).free
    reason = f"{free / 1024**3:.1f} GiB free for runs"
    if free < _LEAST_FREE:
        return Check("disk", "warn", reason, "free some space, or choose another --runs-dir")
    return Check("disk", "ok", reason)


def _plugins() -> Check:
    from lrmctl.hooks import registry

    if problems := registry.problems():
        return Check(
            "plugins", "warn", "; ".join(map(str, problems)), "update or uninstall them; nothing else is affected"
        )
    return Check("plugins", "ok", f"{len(registry.names())} names registered")
