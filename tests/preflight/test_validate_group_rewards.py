"""`recipe validate` of rewards that compare the samples of a prompt, and of `normalise: component-group`."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrmctl.errors import RecipeError
from lrmctl.preflight.validate import validate
from lrmctl.recipe.load import load_recipe

OWN = "def score(group):\n    return [1.0 for _ in group]\n\n\ndef alone(trace):\n    return 1.0\n"
COMPARING = "extends: lab/rl\nreward:\n  components:\n    - correct\n    - {use: diversity, name: new, part: answer}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "own.py").write_text(OWN)
    return tmp_path / "r.yaml"


def fails(file: Path, text: str, *sets: str) -> str:
    file.write_text(text)
    with pytest.raises(RecipeError) as caught:
        validate(load_recipe(file, sets))
    return str(caught.value)


def test_with_several_samples_per_prompt_it_is_valid(file: Path) -> None:
    file.write_text(COMPARING)
    assert [p for p in validate(load_recipe(file)) if not p.problem.note] == []


@pytest.mark.parametrize("component", ["{use: diversity, name: new}", "{fn: ./own.py:score, name: new}"])
def test_one_sample_per_prompt_is_an_error(file: Path, component: str) -> None:
    text = f"extends: lab/rl\nreward: {{components: [correct, {component}]}}\n"
    told = fails(file, text, "algorithm.samples_per_prompt=1", "algorithm.name=reinforce")
    assert "the reward 'new' compares the samples of a prompt, and there is one" in told
    assert "algorithm.samples_per_prompt" in told
    assert "say at least 2" in told
    rejection = (
        f"extends: lab/rft\ndata:\n  rejection:\n    samples_per_prompt: 1\n    reward: {{components: [{component}]}}\n"
    )
    told = fails(file, rejection)
    assert f"{file}:4: data.rejection.samples_per_prompt: the reward 'new' compares" in told


def test_segments_cannot_be_compared(file: Path) -> None:
    told = fails(file, COMPARING, "reward.components.1.part=segments")
    assert "the reward 'new' compares samples, which have different numbers of segments" in told


def test_the_best_checkpoint_needs_several_samples_in_evaluation(file: Path) -> None:
    evaluation = "evaluation: {prompts: [{use: lab-prompts}], best: new}\n"
    told = fails(file, COMPARING + evaluation)
    assert "the reward 'new' compares the samples of a prompt, and evaluation has one" in told
    file.write_text(COMPARING + evaluation)
    validate(load_recipe(file, ["evaluation.samples_per_prompt=2"]))


@pytest.mark.parametrize("name", ["reinforce_pp", "dr_grpo", "rloo", "reinforce", "flash_reinforce", "ppo"])
def test_component_group_goes_with_what_does_not_divide_by_the_group(name: str) -> None:
    loaded = load_recipe("lab/rewards/gdpo", [f"algorithm.name={name}"])
    assert [p for p in validate(loaded) if not p.problem.note] == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("algorithm.name=grpo", "grpo divides by the group's standard deviation again"),
        ("algorithm.preset=gspo", "say `name: reinforce_pp`"),
        ("algorithm.samples_per_prompt=1", "compares the samples of a prompt, and there is one"),
        ("algorithm.truncated_penalty=0.5", "a factor improves negative rewards"),
        ("reward.clip=[0,1]", "before there is a sum to clip"),
        ("reward.components.2.gate=multiply", "leave one of the two out"),
    ],
)
def test_component_group_refuses_what_undoes_it(file: Path, change: str, says: str) -> None:
    start = "extends: lab/rewards/gdpo\n"
    sets = [change] if "preset" not in change else [change, "algorithm.name=grpo"]
    assert says in fails(file, start, *sets)


def test_rejection_sampling_has_no_use_for_component_group(file: Path) -> None:
    told = fails(file, "extends: lab/rft\ndata: {rejection: {reward: {normalise: component-group}}}\n")
    assert "`keep_at_least` is compared with raw rewards" in told


@pytest.mark.parametrize(
    ("component", "says"),
    [
        ("{use: ranking, options: {reward: diversity}}", "`reward: diversity` compares the samples of a prompt"),
        ("{use: ranking, options: {reward: lenght}}", "did you mean 'length'"),
        ("{use: pairwise, options: {reward: length, reward_options: {lowest: 1}}}", "has no option 'lowest'"),
        ("{use: pairwise}", "exactly one of `model`"),
        ("{use: relative-helpfulness, options: {judge: lab, helpful: pairwise}}", "exactly one of `model`"),
    ],
)
def test_the_rewards_inside_of_a_reward_are_looked_at(file: Path, component: str, says: str) -> None:
    told = fails(file, f"extends: lab/rl\nreward:\n  components:\n    - {component}\n")
    assert says in told
    assert f"{file}:4: reward.components.0.use" in told
