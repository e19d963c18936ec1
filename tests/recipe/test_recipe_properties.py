"""Whatever is in a recipe, the user reads an error of ours and never a traceback."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lrmctl.backends.openrlhf.flags import parser
from lrmctl.backends.openrlhf.flags.renames import old_names
from lrmctl.errors import LrmctlError, NotFoundError, RecipeError
from lrmctl.preflight.validate import validate
from lrmctl.recipe.find import shipped, shipped_files
from lrmctl.recipe.load import load_recipe
from lrmctl.recipe.yaml import walk

TEXTS = [file.read_text(encoding="utf-8") for file in shipped_files().values()]
DATA = [data for text in TEXTS if "extends" not in (data := yaml.safe_load(text)) and "kind" in data]
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


def load_text(text: str, sets: list[str]) -> None:
    """Load; only the errors that a user may see are let pass."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "r.yaml"
        file.write_text(text, encoding="utf-8", errors="surrogatepass")
        with suppress(RecipeError, NotFoundError):
            assert load_recipe(file, sets).resolved


def _place(data: Any, path: tuple[str | int, ...], value: Any, delete: bool) -> None:
    for key in path[:-1]:
        data = data[key]
    if delete:
        del data[path[-1]]
    else:
        data[path[-1]] = value


@pytest.mark.e2e
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_mutated_recipe_loads_or_is_refused(data: st.DataObject) -> None:
    recipe = yaml.safe_load(yaml.safe_dump(data.draw(st.sampled_from(DATA))))
    for _ in range(data.draw(st.integers(1, 3))):
        paths = [path for path, _ in walk(recipe) if path]
        if paths:
            path = data.draw(st.sampled_from(paths))
            path = path if data.draw(st.booleans()) else (*path[:-1], data.draw(st.text(max_size=6)))
            with suppress(TypeError, KeyError, IndexError):  # a new word where a list is: not a mutation
                _place(recipe, path, data.draw(values), delete=data.draw(st.booleans()))
    load_text(yaml.safe_dump(recipe, allow_unicode=True), [])


RESOLVED = [load_recipe(name).resolved for name in shipped()]
odd = (
    scalars
    | st.sampled_from(
        [10**18, -(10**18), 2**63, 10**400, 1e308, 5e-324, "\u202e\U0001f642", "a.b", "--x", "\x00", "9" * 99]
    )
    | st.text(max_size=30)
)
odd_values = st.recursive(
    odd, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
)
FLAGS = parser.known("train_ppo_ray") + list(old_names("train_ppo_ray")) + ["ds.zero", "ds."]


def mutate(recipe: Any, data: st.DataObject) -> None:
    """Drop, rename, retype or nest a few keys anywhere in a recipe, or give the trainer a flag."""
    for _ in range(data.draw(st.integers(1, 4))):
        path = data.draw(st.sampled_from([path for path, _ in walk(recipe) if path]))
        what = data.draw(st.sampled_from(["drop", "rename", "value", "value", "nest", "flag"]))
        with suppress(TypeError, KeyError, IndexError, AttributeError):  # no such key any more: not a mutation
            if what == "flag":
                recipe["backend"]["flags"][data.draw(st.sampled_from(FLAGS))] = data.draw(odd_values)
                continue
            holder = recipe
            for key in path[:-1]:
                holder = holder[key]
            old = holder[path[-1]]
            if what in ("drop", "rename"):
                del holder[path[-1]]
            if what != "drop":
                key = data.draw(st.text(max_size=6)) if what == "rename" else path[-1]
                new = data.draw(odd_values) if what == "value" else old if what == "rename" else [{"use": old}]
                holder[key] = new


@pytest.mark.e2e
@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_mutated_recipe_is_valid_or_refused_and_never_a_traceback(data: st.DataObject) -> None:
    recipe = deepcopy(data.draw(st.sampled_from(RESOLVED)))
    mutate(recipe, data)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "r.yaml"
        file.write_text(yaml.safe_dump(recipe, allow_unicode=True), encoding="utf-8", errors="surrogatepass")
        with suppress(LrmctlError):
            assert all(f.problem.note and str(f) for f in validate(load_recipe(file)))


def _names() -> dict[str, tuple[Any, tuple[str | int, ...]]]:
    """Each place in which shipped recipes name something with `use`, once for each kind of recipe."""
    found = {}
    for recipe in RESOLVED:
        for path in [path for path, _ in walk(recipe) if path and path[-1] == "use"]:
            place = ".".join("*" if isinstance(key, int) else key for key in path)
            found.setdefault(f"{recipe['kind']} {place}", (recipe, path))
    return found


@pytest.mark.parametrize(("recipe", "path"), _names().values(), ids=_names())
@pytest.mark.parametrize("value", [["hf"], {"hf": 1}, [{"use": "hf"}], 1.5, None], ids=str)
def test_a_name_that_is_no_text_is_refused(tmp_path: Path, recipe: Any, path: tuple[Any, ...], value: Any) -> None:
    changed = deepcopy(recipe)
    _place(changed, path, value, delete=False)
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(changed, allow_unicode=True), encoding="utf-8")
    try:
        said = [str(finding) for finding in validate(load_recipe(tmp_path / "r.yaml"))]
    except LrmctlError as error:
        said = [str(error)]
    assert any(said)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(TEXTS), st.integers(0, 4000), st.integers(0, 30), st.text(max_size=6))
def test_text_with_a_piece_cut_or_put_in_loads_or_is_refused(text: str, at: int, cut: int, put: str) -> None:
    at %= len(text)
    load_text(text[:at] + put + text[at + cut :], [])


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(TEXTS), st.lists(st.text(max_size=12) | st.from_regex(r"[a-z.0-9]{1,9}=.{0,9}"), max_size=3))
def test_any_override_is_taken_or_refused(text: str, sets: list[str]) -> None:
    load_text(text, sets)
