"""Numbers that are true, thousands of unknown keys, text that turns its direction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrmctl.errors import RecipeError
from lrmctl.recipe.load import load_recipe
from lrmctl.reporting.build import _plain_direction

Lrmctl = Callable[..., Any]


@pytest.mark.parametrize(
    "key", ["algorithm.steps", "seed", "rollout.max_new_tokens", "optimizer.learning_rate", "max_len"]
)
@pytest.mark.parametrize("value", ["true", "false"])
def test_true_is_not_one(key: str, value: str) -> None:
    with pytest.raises(RecipeError, match="not true or false"):
        load_recipe("lab/rl", [f"{key}={value}"])


@pytest.mark.e2e
def test_thousands_of_unknown_keys_give_a_short_list(lrmctl: Lrmctl, tmp_path: Path) -> None:
    keys = "".join(f"unknown{i}: 1\n" for i in range(5000))
    (tmp_path / "r.yaml").write_text(f"extends: lab/rl\n{keys}")
    said = lrmctl("recipe", "validate", "r.yaml")
    assert said.code == 2
    assert len(said.err.splitlines()) < 60
    assert "5000 problems" in said.err
    assert "more" in said.err


def test_characters_that_turn_text_around_are_shown_by_number() -> None:
    assert _plain_direction("a\u202eb\u2066c") == "a⟨U+202E⟩b⟨U+2066⟩c"
    assert _plain_direction("שלום") == "שלום"


@pytest.mark.parametrize(
    "word",
    [
        "algorithm.steps=4611686018427387904",
        "algorithm.steps=9999999",
        "algorithm.prompts_per_step=99999999",
        "algorithm.samples_per_prompt=4611686018427387904",
        "rollout.max_new_tokens=4611686018427387904",
        "seed=4611686018427387904",
        "seed=-1",
    ],
)
def test_numbers_that_no_run_can_have_are_refused_before_anything_is_made(word: str) -> None:
    with pytest.raises(RecipeError, match=r"less than|greater than|at most 10,000,000"):
        load_recipe("lab/rl", [word])
