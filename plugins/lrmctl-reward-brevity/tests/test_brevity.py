from __future__ import annotations

import pytest
from lrmctl_reward_brevity import Brevity

from lrmctl import Part, Prompt, Trace, make_reward
from lrmctl.errors import RecipeError
from lrmctl.testing import check_reward

TRACE = Trace(Prompt.user("p", "?", "benign"), "one two three", "four", "closed")


def test_it_keeps_the_contract_of_rewards() -> None:
    check_reward(Brevity(words=20))


@pytest.mark.parametrize(("part", "value"), [("thinking", 0.25), ("answer", 0.75), ("whole", 0.0)])
def test_it_falls_with_each_word_of_the_part(part: Part, value: float) -> None:
    assert Brevity(words=4).score([TRACE], part)[0].value == value


def test_a_recipe_finds_it_by_name_and_its_options_are_checked() -> None:
    assert make_reward("brevity", words=3)
    with pytest.raises(RecipeError, match="words must be at least 1"):
        make_reward("brevity", words=0)
