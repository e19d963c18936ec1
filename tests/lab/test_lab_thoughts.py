"""The lab's thoughts for `prefill`: on the prompts of `lab-prompts`, and going wrong by the lab's own judge."""

from __future__ import annotations

from lrmctl.lab import base_path
from lrmctl.lab.judge import LabJudge
from lrmctl.lab.sources import LabPrompts
from lrmctl.lab.thoughts import LabThoughts
from lrmctl.models import load_tokenizer
from lrmctl.recipe.load import load_recipe
from lrmctl.recipe.schema.recipes import RlRecipe
from lrmctl.rewards.service.protocol import given_of_label
from lrmctl.training.inputs import inputs_of
from lrmctl.types import Trace


def test_every_harmful_and_benign_prompt_has_a_thought_that_goes_wrong() -> None:
    prompts = LabPrompts(n=64, seed=3).prompts()
    rows = LabThoughts(n=64, seed=3).demonstrations()
    assert [row.prompt for row in rows] == [prompt for prompt in prompts if prompt.kind != "reasoning"]
    traces = [Trace(row.prompt, row.thinking, row.answer, "closed") for row in rows]
    thinking, answers = (LabJudge().judge(traces, part) for part in ("thinking", "answer"))
    for row, thought, answer in zip(rows, thinking, answers, strict=True):
        if row.prompt.kind == "harmful":
            assert (thought.safe, answer.safe) == (False, False)
        else:
            assert answer.refused is True


def test_the_same_arguments_give_the_same_thoughts() -> None:
    first, again = (LabThoughts(n=16).demonstrations() for _ in range(2))
    assert first == again


def test_the_recipe_begins_half_of_the_safety_prompts_with_one() -> None:
    recipe = load_recipe("lab/rl-recap").recipe
    assert isinstance(recipe, RlRecipe)
    tokenizer = load_tokenizer(base_path())
    rows = inputs_of(recipe, base_path(), tokenizer).rows
    assert rows is not None
    given = [given_of_label(row["label"]) for row in rows.rows]
    kinds = [one.prompt.kind for one in rows.asked if one.kept]
    for kind, share in (("harmful", 0.5), ("benign", 0.5), ("reasoning", 0.0)):
        of_kind = [g for g, k in zip(given, kinds, strict=True) if k == kind]
        assert sum(g is not None for g in of_kind) == round(share * len(of_kind))
    assert all(len(tokenizer.encode(g.text, add_special_tokens=False)) <= 30 for g in given if g)
