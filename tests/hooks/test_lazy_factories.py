"""Factories that a plugin names are imported when a recipe needs them, and a broken one is an error of that name."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from lrmctl.errors import LrmctlError, PluginError
from lrmctl.hooks.registry import Registry
from lrmctl.hooks.specs import LazyFactory

Install = Callable[..., None]
NAMED = (
    "from lrmctl import hookimpl\n"
    "@hookimpl\n"
    "def lrmctl_rewards(register): register('far', '{target}', summary='one that is far away')\n"
)


def test_every_built_in_factory_can_be_imported() -> None:
    for entry in Registry().builtin.entries:
        assert callable(entry.factory), entry.name


def test_listing_imports_no_factory(install: Install) -> None:
    install("acme-far", "acme_far", NAMED.format(target="acme_far_away.rewards:Far"))
    registry = Registry()
    assert ("far", "one that is far away") in [(e.name, e.summary) for e in registry.names("reward")]
    code = (
        "import sys; from lrmctl.hooks import registry; registry.names();"
        "print([m for m in sys.modules if m.startswith(('lrmctl.rewards.builtin.', 'lrmctl.rows', 'lrmctl.lab.'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['lrmctl.rewards.builtin.plugin', 'lrmctl.lab.plugin']"


def test_a_named_factory_is_made_with_options(install: Install) -> None:
    near = "class Near:\n    def __init__(self, low=1): self.low = low\n    def score(self, traces, part): return []\n"
    source = NAMED.format(target="acme_near:Near") + near
    install("acme-near", "acme_near", source)
    assert Registry().make("reward", "far", low=3).low == 3
    with pytest.raises(LrmctlError, match="has no option 'high'"):
        Registry().check("reward", "far", {"high": 1})


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("acme_nowhere.rewards:Far", "ModuleNotFoundError"),
        ("acme_broken:Nothing", "AttributeError"),
        ("acme_broken:__name__", "not callable"),
    ],
)
def test_one_that_cannot_be_imported_is_an_error_of_its_name(install: Install, target: str, told: str) -> None:
    install("acme-broken", "acme_broken", NAMED.format(target=target))
    registry = Registry()
    with pytest.raises(PluginError, match=f"reward 'far' of acme-broken could not be loaded: .*{told}"):
        registry.check("reward", "far", {})
    assert registry.find("reward", "format").builtin


def test_a_name_that_is_no_place_is_refused_at_registration(install: Install) -> None:
    install("acme-odd", "acme_odd", NAMED.format(target="somewhere else"))
    (problem,) = Registry().problems()
    assert "must be module:attribute" in problem.error


def test_arguments_make_the_factory() -> None:
    made = LazyFactory("functools:partial", (dict, [("a", 1)])).load()
    assert made() == {"a": 1}
