"""What a package says is public is there, and importing the package costs nothing."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

ROOMS = (
    *("engines", "judges", "rewards", "reasoning", "evaluation", "metrics"),
    *("training", "studies", "backends.launch", "planning", "preflight", "recipe.schema", "runs"),
)
LAZY = ("training", "recipe", "recipe.schema", "runs", "backends.openrlhf")


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_is_there(room: str) -> None:
    package = import_module(f"lrmctl.{room}")
    assert package.__all__ == sorted(package.__all__)
    for name in package.__all__:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing_of_the_kind'"):
        _ = package.nothing_of_the_kind


def test_importing_the_packages_imports_no_numerics() -> None:
    code = "import sys, lrmctl.engines, lrmctl.judges, lrmctl.rewards, lrmctl.reasoning; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "transformers", "numpy", "httpx", "pydantic"} & set(loaded)


def test_importing_the_packages_that_train_imports_none_of_their_modules() -> None:
    code = f"import sys; [__import__('lrmctl.' + name) for name in {LAZY!r}]; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "pydantic", "yaml", "rich", "psutil"} & set(loaded)
