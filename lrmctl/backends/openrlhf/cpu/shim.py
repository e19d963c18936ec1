"""Import hooks: patch a module right after it was imported, without editing its source.

Knows how to hook and when it must not (a machine with CUDA); what is changed in which module is in `patches.py`. Runs
at the start of every Python process of the launch, so it imports nothing heavy.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

Patch = Callable[[Any], None]
_PATCHES: dict[str, Patch] = {}
_EMPTY: set[str] = set()


def after(name: str) -> Callable[[Patch], Patch]:
    """Register a function that is called with module `name` right after its import."""

    def register(patch: Patch) -> Patch:
        _PATCHES[name] = patch
        return patch

    return register


def leave_out(name: str) -> None:
    """Replace module `name` by an empty one in which every name is None: imported by others, used by nobody here."""
    _EMPTY.add(name)


def install() -> None:
    """Turn the shim on in this process.

    Stand-ins come before real packages, so that lrmctl's rollout engine is used even if vllm is installed; with
    LRMCTL_OPENRLHF_ENGINE=vllm they come last, and the real vllm is used.
    """
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _Finder())
    place = len(sys.path) if os.environ.get("LRMCTL_OPENRLHF_ENGINE") == "vllm" else 0
    sys.path.insert(place, str(Path(__file__).parent / "standins"))


def refuse_cuda() -> None:
    """Raise if torch sees a CUDA device, where OpenRLHF must run without the shim.

    Raises:
        RuntimeError: with what to unset.
    """
    import torch

    if torch.cuda.is_available():
        raise RuntimeError(
            "LRMCTL_OPENRLHF_CPU=1 makes OpenRLHF run without CUDA, but torch sees a CUDA device: "
            "unset it, or set `backend.device: cuda` in the recipe"
        )


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name in _EMPTY:
            return importlib.machinery.ModuleSpec(name, _EmptyLoader())
        patch = _PATCHES.get(name)
        if patch is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, patch)
        return spec


class _EmptyLoader(importlib.abc.Loader):
    def exec_module(self, module: ModuleType) -> None:
        def nothing(name: str) -> None:
            if name.startswith("__"):
                raise AttributeError(name)

        vars(module)["__getattr__"] = nothing


class _Loader(importlib.abc.Loader):
    """The real loader, plus the patch after the module's own code."""

    def __init__(self, inner: Any, patch: Patch) -> None:
        self._inner = inner
        self._patch = patch

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._inner.create_module(spec)  # type: ignore[no-any-return]

    def exec_module(self, module: ModuleType) -> None:
        self._inner.exec_module(module)
        self._patch(module)

    def __getattr__(self, name: str) -> Any:  # get_source, get_code, is_package and the like
        return getattr(self._inner, name)
