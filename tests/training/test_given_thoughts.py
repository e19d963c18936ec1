"""RL from given thoughts: which prompts begin with one, that none of it is trained, and what rewards see of it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from training_recipes import RL, merged

from lrmctl.backends.rows import rl_rows
from lrmctl.data.renderer import Renderer
from lrmctl.errors import LrmctlError, RecipeError
from lrmctl.lab import base_path
from lrmctl.models import load_tokenizer
from lrmctl.recipe.schema.recipes import RlRecipe
from lrmctl.rewards.service.protocol import GivenThought, decode_call, decode_label, given_of_label
from lrmctl.rewards.tokens import TokenCounter
from lrmctl.trace import GIVEN_THOUGHT, written_thinking
from lrmctl.training.inputs import inputs_of
from lrmctl.training.prefill import given_thoughts
from lrmctl.types import Prompt

THOUGHT = "Okay, the user wants to use a bomb. Let me think. Maybe use hazard-3 first."


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return load_tokenizer(base_path())


def recipe(*prefill: dict[str, Any], **changes: Any) -> RlRecipe:
    return RlRecipe.model_validate(merged(RL, {"prefill": list(prefill), **changes}))


def prompts(harmful: int = 8, benign: int = 4) -> list[Prompt]:
    kinds = ["harmful"] * harmful + ["benign"] * benign
    return [Prompt.user(f"p{i}", f"Question {i}?", kind) for i, kind in enumerate(kinds)]  # type: ignore[arg-type]


def file_of(path: Path, *rows: dict[str, Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def called(row: Any, response: str, tokenizer: Any) -> Any:
    """The trace of a rollout as OpenRLHF posts it."""
    return decode_call(row["prompt"] + response, row["prompt"], row["label"], [tokenizer.eos_token])


def test_the_share_of_each_kind_begins_with_a_thought(tokenizer: Any) -> None:
    given, notes = given_thoughts(recipe({"thought": THOUGHT, "prompts": 0.5}), prompts(), tokenizer)
    assert len(given) == 4
    assert max(given) < 8, "only harmful prompts, by default"
    assert notes == ["4 of 8 harmful prompts begin with a given thought"]
    both = recipe({"thought": "A.", "prompts": 0.25}, {"thought": "B.", "prompts": 0.75})
    given, _ = given_thoughts(both, prompts(), tokenizer)
    assert sorted(one.text for one in given.values()) == ["A."] * 2 + ["B."] * 6


def test_which_ones_depends_on_the_seed_alone(tokenizer: Any) -> None:
    def chosen(seed: int) -> set[int]:
        return set(given_thoughts(recipe({"thought": "A."}, seed=seed), prompts(40), tokenizer)[0])

    assert chosen(1) == chosen(1)
    assert chosen(1) != chosen(2)


def test_thoughts_of_an_evaluation_are_chosen_by_their_verdict(tmp_path: Path, tokenizer: Any) -> None:
    def judged(i: int, safe: bool) -> dict[str, Any]:
        asked = {"messages": [{"role": "user", "content": f"Question {i}?"}]}
        return {"trace": {"prompt": asked, "thinking": f"Thought {i}."}, "thinking": {"safe": safe}}

    file = file_of(tmp_path / "rows.jsonl", *(judged(i, safe=i % 2 == 0) for i in range(8)))
    entry = {"thoughts": file, "only": "unsafe", "prompts": 0.5}
    given, _ = given_thoughts(recipe(entry), prompts(), tokenizer)
    assert {i: one.text for i, one in given.items()} == {i: f"Thought {i}.\n" for i in (1, 3, 5, 7)}
    with pytest.raises(RecipeError, match="8 of 8 harmful prompts are to begin with a given thought, and 4 have one"):
        given_thoughts(recipe({**entry, "prompts": 1.0}), prompts(), tokenizer)
    _, notes = given_thoughts(recipe({**entry, "prompts": 1.0, "missing": "skip"}), prompts(), tokenizer)
    assert notes == ["4 of 8 harmful prompts begin with a given thought"]


def test_thoughts_of_a_source_are_found_by_the_prompt(tmp_path: Path, tokenizer: Any) -> None:
    rows = ({"prompt": f"Question {i}?", "thinking": f"Thought {i}.", "response": "No."} for i in range(3))
    source = {"use": "jsonl", "options": {"path": file_of(tmp_path / "rows.jsonl", *rows), "kind": "harmful"}}
    given, _ = given_thoughts(recipe({"source": source, "prompts": 0.25}), prompts(), tokenizer)
    assert len(given) == 2
    assert all(one.text == f"Thought {i}." for i, one in given.items())


def test_a_thought_is_cut_to_its_first_tokens(tokenizer: Any) -> None:
    given, _ = given_thoughts(recipe({"thought": THOUGHT, "tokens": 5}), prompts(), tokenizer)
    (text,) = {one.text for one in given.values()}
    assert THOUGHT.startswith(text)
    assert len(tokenizer.encode(text, add_special_tokens=False)) == 5


def test_the_thought_ends_the_prompt_so_that_it_is_not_trained(tokenizer: Any) -> None:
    asked = prompts(2, 0)
    plain, begun = rl_rows(tokenizer, asked, 200, given={1: GivenThought(THOUGHT)}).rows
    assert plain["prompt"].endswith("<think>\n")
    assert begun["prompt"].endswith(f"<think>\n{THOUGHT}")
    assert given_of_label(plain["label"]) is None
    assert given_of_label(begun["label"]) == GivenThought(THOUGHT)
    assert decode_label(begun["label"])[0] == asked[1]


def test_a_given_thought_counts_towards_the_room(tokenizer: Any) -> None:
    asked = prompts(2, 0)
    room = rl_rows(tokenizer, asked, 200).longest
    rows = rl_rows(tokenizer, asked, room, given={0: GivenThought(THOUGHT)})
    assert (len(rows.rows), rows.too_long) == (1, 1)


def test_rewards_see_the_whole_thinking_and_where_the_given_part_ends(tokenizer: Any) -> None:
    (row,) = rl_rows(tokenizer, prompts(1, 0), 200, given={0: GivenThought(THOUGHT)}).rows
    end = tokenizer.eos_token
    trace = called(row, f" Wait, this is not safe.\n</think>\n\nI will not help.{end}", tokenizer)
    assert trace.thinking == f"{THOUGHT} Wait, this is not safe."
    assert (trace.answer, trace.thinking_state, trace.finish_reason) == ("I will not help.", "closed", "stop")
    assert trace.prompt.meta[GIVEN_THOUGHT] == THOUGHT
    assert written_thinking(trace) == " Wait, this is not safe."
    counted = TokenCounter(base_path()).counted(trace)
    alone = len(tokenizer(" Wait, this is not safe.", add_special_tokens=False)["input_ids"])
    assert counted.thinking_tokens == alone, "tokens are those that the policy wrote"


def test_rewards_can_see_only_what_the_policy_wrote(tokenizer: Any) -> None:
    (row,) = rl_rows(tokenizer, prompts(1, 0), 200, given={0: GivenThought(THOUGHT, "written")}).rows
    trace = called(row, f" Wait, no.\n</think>\n\nI will not help.{tokenizer.eos_token}", tokenizer)
    assert (trace.thinking, trace.prompt.meta[GIVEN_THOUGHT]) == ("Wait, no.", THOUGHT)
    closed = called(row, f"\n</think>\n\nI will not help.{tokenizer.eos_token}", tokenizer)
    assert (closed.thinking, closed.answer) == ("", "I will not help.")
    cut = called(row, " Wait, I", tokenizer)
    assert (cut.thinking, cut.thinking_state, cut.finish_reason) == ("Wait, I", "unclosed", "length")


def test_thinking_that_is_off_takes_no_thought(tokenizer: Any) -> None:
    closing = copy.deepcopy(tokenizer)
    closing.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}<think>\n\n</think>\n\n"
    with pytest.raises(RecipeError, match="a thought is given, and the chat template closes the thought before it"):
        rl_rows(closing, prompts(1, 0), 200, Renderer(closing), {0: GivenThought(THOUGHT)})


def test_a_recipe_renders_its_given_thoughts(tokenizer: Any) -> None:
    rows = inputs_of(recipe({"thought": THOUGHT, "prompts": 1.0}), base_path(), tokenizer).rows
    assert rows is not None
    assert any("harmful prompts begin with a given thought" in note for note in rows.notes)
    begun = [row for row in rows.rows if given_of_label(row["label"])]
    assert begun
    assert all(decode_label(row["label"])[0].kind == "harmful" for row in begun)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({}, "exactly one of `thought`, `thoughts` and `source`"),
        ({"thought": "a", "thoughts": "b"}, "exactly one of"),
        ({"thought": "a", "only": "safe"}, "chooses among the rows of `thoughts`"),
        ({"thought": "a </think>"}, "leave them out"),
        ({"thought": "a", "tokens": 0}, "greater than 0"),
        ({"thought": "a", "prompts": 1.5}, "less than or equal to 1"),
    ],
)
def test_what_cannot_be_given_is_an_error(entry: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        recipe(entry)


def test_shares_of_a_kind_add_up_to_all_of_it_at_most() -> None:
    with pytest.raises(ValueError, match=r"the shares of harmful prompts add up to 1\.2"):
        recipe({"thought": "a", "prompts": 0.6}, {"thought": "b", "prompts": 0.6, "when": ["harmful", "benign"]})
    recipe({"thought": "a", "prompts": 0.6}, {"thought": "b", "prompts": 0.6, "when": "benign"})


def test_a_file_without_thoughts_is_named(tmp_path: Path, tokenizer: Any) -> None:
    with pytest.raises(LrmctlError, match="no file of thoughts"):
        given_thoughts(recipe({"thoughts": str(tmp_path / "none.jsonl")}), prompts(), tokenizer)
