"""Import hooks: patch a module of the trainer right after it was imported, without editing its source.

Knows how to hook; what is changed in which module is in `cpu/patches.py` and `weights/hooks.py`. Runs at the start of
every Python process of a launch, so it imports nothing heavy.
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
_PATCHES: dict[str, list[Patch]] = {}
_EMPTY: set[str] = set()


def hook_path() -> str:
    """PYTHONPATH of a launch whose processes have hooks: the folder with `sitecustomize.py` first."""
    inherited = os.environ.get("PYTHONPATH")
    return os.pathsep.join([str(Path(__file__).parent / "site"), *([inherited] if inherited else [])])


def after(name: str) -> Callable[[Patch], Patch]:
    """Register a function that is called with module `name` right after its import, in the order of registration."""

    def register(patch: Patch) -> Patch:
        _PATCHES.setdefault(name, []).append(patch)
        return patch

    return register


def leave_out(name: str) -> None:
    """Replace module `name` by an empty one in which every name is None: imported by others, used by nobody here."""
    _EMPTY.add(name)


def install_hooks() -> None:
    """Turn the registered hooks on in this process."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name in _EMPTY:
            return importlib.machinery.ModuleSpec(name, _EmptyLoader())
        patches = _PATCHES.get(name)
        if patches is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, patches)
        return spec


class _EmptyLoader(importlib.abc.Loader):
    def exec_module(self, module: ModuleType) -> None:
        def nothing(name: str) -> None:
            if name.startswith("__"):
                raise AttributeError(name)

        vars(module)["__getattr__"] = nothing


class _Loader(importlib.abc.Loader):
    """The real loader, plus the patches after the module's own code."""

    def __init__(self, inner: Any, patches: Sequence[Patch]) -> None:
        self._inner = inner
        self._patches = patches

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._inner.create_module(spec)  # type: ignore[no-any-return]

    def exec_module(self, module: ModuleType) -> None:
        self._inner.exec_module(module)
        for patch in self._patches:
            patch(module)

    def __getattr__(self, name: str) -> Any:  # get_source, get_code, is_package and the like
        return getattr(self._inner, name)
