"""Numbers that are true, thousands of unknown keys, text that turns its direction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrmctl.errors import RecipeError
from lrmctl.recipe.load import load_recipe
from lrmctl.report.build import _plain_direction

Lrmctl = Callable[..., Any]


@pytest.mark.parametrize(
    "key", ["algorithm.steps", "seed", "rollout.max_new_tokens", "optimizer.learning_rate", "max_len"]
)
@pytest.mark.parametrize("value", ["true", "false"])
def test_true_is_not_one(key: str, value: str) -> None:
    with pytest.raises(RecipeError, match="not true or false"):
        load_recipe("lab/rl", [f"{key}={value}"])


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
