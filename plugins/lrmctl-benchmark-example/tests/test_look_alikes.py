from __future__ import annotations

import pytest
from lrmctl_benchmark_example import LookAlikes

from lrmctl.errors import RecipeError
from lrmctl.hooks import make
from lrmctl.testing import check_benchmark


@pytest.mark.parametrize("split", ["test", "dev"])
def test_it_keeps_the_contract_of_benchmarks(split: str) -> None:
    check_benchmark(LookAlikes(split))


def test_both_kinds_are_in_each_split_and_no_prompt_is_in_two() -> None:
    test, dev = LookAlikes("test").load(), LookAlikes("dev").load()
    assert (len(test), len(dev)) == (7, 2)
    for prompts in (test, dev):
        assert {prompt.kind for prompt in prompts} == set(LookAlikes.kinds)
    assert not {prompt.id for prompt in test} & {prompt.id for prompt in dev}


def test_harmful_prompts_have_no_content() -> None:
    harmful = [prompt for split in ("test", "dev") for prompt in LookAlikes(split).load() if prompt.kind == "harmful"]
    assert all(prompt.meta["topic"] in prompt.text and "hazard-" in prompt.text for prompt in harmful)


def test_a_result_says_which_file_of_which_version_it_came_from() -> None:
    told = LookAlikes().provenance()
    assert told["package"] == "lrmctl-benchmark-example 0.1.0"
    assert len(told["sha256"]) == 64


def test_a_recipe_finds_it_by_name_and_a_wrong_split_is_an_error_of_the_recipe() -> None:
    assert make("benchmark", "look-alikes", split="dev").split == "dev"
    with pytest.raises(RecipeError, match="split is test or dev, not 'train'"):
        make("benchmark", "look-alikes", split="train")
