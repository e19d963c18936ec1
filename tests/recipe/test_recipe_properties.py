"""Whatever is in a recipe, the user reads an error of ours and never a traceback."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lrmctl.errors import NotFoundError, RecipeError
from lrmctl.recipe.load import load_recipe, shipped
from lrmctl.recipe.source import walk

TEXTS = [file.read_text(encoding="utf-8") for file in shipped().values()]
DATA = [data for text in TEXTS if "extends" not in (data := yaml.safe_load(text))]
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


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(TEXTS), st.integers(0, 4000), st.integers(0, 30), st.text(max_size=6))
def test_text_with_a_piece_cut_or_put_in_loads_or_is_refused(text: str, at: int, cut: int, put: str) -> None:
    at %= len(text)
    load_text(text[:at] + put + text[at + cut :], [])


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(TEXTS), st.lists(st.text(max_size=12) | st.from_regex(r"[a-z.0-9]{1,9}=.{0,9}"), max_size=3))
def test_any_override_is_taken_or_refused(text: str, sets: list[str]) -> None:
    load_text(text, sets)
