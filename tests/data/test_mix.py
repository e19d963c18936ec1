"""Mixtures of sources, rows that are held back, conversations."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrmctl.data.mix import hold_out, mix, repeated_passes, shares
from lrmctl.data.sources import RowSource, every_turn, load_prompts
from lrmctl.errors import RecipeError
from lrmctl.recipe.load import load_recipe
from lrmctl.recipe.schema.sections import Mixed


def test_without_weights_every_row_is_taken_once_in_order() -> None:
    assert mix([[1, 2], [3]], [None, None], total=None, seed=0) == [1, 2, 3]


@given(st.lists(st.floats(0.01, 10), min_size=1, max_size=6), st.integers(1, 500))
def test_shares_add_up_and_are_off_by_less_than_one(weights: list[float], total: int) -> None:
    counts = shares(weights, total)
    assert sum(counts) == total
    assert all(abs(n - total * w / sum(weights)) < 1 for n, w in zip(counts, weights, strict=True))


def test_a_mixture_has_the_proportions_that_were_asked_for() -> None:
    mixed = mix([["a"] * 10, ["b"] * 1000], [3.0, 1.0], total=200, seed=1)
    assert (mixed.count("a"), mixed.count("b")) == (150, 50)


def test_a_small_source_is_gone_through_evenly() -> None:
    drawn = repeated_passes(list(range(7)), 30, random.Random(0))
    counts = [drawn.count(i) for i in range(7)]
    assert len(drawn) == 30
    assert max(counts) - min(counts) <= 1


def test_rows_held_back_share_no_prompt_with_the_others() -> None:
    keys = [f"p{i % 20}" for i in range(60)]
    trained, held = hold_out(keys, keys, 0.25, seed=3)
    assert set(trained).isdisjoint(held)
    assert len(set(held)) == 5
    assert len(trained) + len(held) == 60
    assert hold_out(keys, keys, 0.0, seed=3) == (keys, [])


def test_a_weight_for_some_sources_only_is_refused(tmp_path: Any) -> None:
    file = tmp_path / "r.yaml"
    file.write_text(
        "kind: rl\nname: r\nmodel: lab:tiny\nprompts:\n  - {use: lab-prompts, weight: 2}\n  - {use: lab-prompts}\n"
        "reward: {components: [{use: format}]}\n"
    )
    with pytest.raises(RecipeError, match="has no weight"):
        load_recipe(file)


def test_weighted_prompts_come_from_both_sources() -> None:
    none = {"harmful": 0.0, "benign": 0.0, "reasoning": 0.0}
    asked = (("harmful", 1), ("benign", 3))
    uses = [Mixed(use="lab-prompts", options={"n": 8, **none, kind: 1.0}, weight=w) for kind, w in asked]
    kinds = [p.kind for p in load_prompts(uses, seed=0)]
    assert (kinds.count("harmful"), kinds.count("benign")) == (4, 12)


CHAT = [
    {"role": "user", "content": "one?"},
    {"role": "assistant", "content": "<think>t1</think>a1"},
    {"role": "user", "content": "two?"},
    {"role": "assistant", "content": "no thought here"},
    {"role": "user", "content": "three?"},
    {"role": "assistant", "content": "<think>t3</think>a3"},
]


def test_a_conversation_ends_with_its_response() -> None:
    (row,) = RowSource([{"messages": CHAT, "kind": "benign"}], "chat").demonstrations()
    assert (row.thinking.strip(), row.answer.strip(), len(row.prompt.messages)) == ("t3", "a3", 5)


def test_every_response_with_a_thought_becomes_a_row_of_its_own() -> None:
    (row,) = RowSource([{"messages": CHAT, "kind": "benign"}], "chat").demonstrations()
    turns = list(every_turn(row))
    assert [(t.answer.strip(), len(t.prompt.messages)) for t in turns] == [("a1", 1), ("a3", 5)]
    assert len({t.prompt.id for t in turns}) == 2
