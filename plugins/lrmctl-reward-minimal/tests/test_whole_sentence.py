from __future__ import annotations

import pytest
from lrmctl_reward_minimal import WholeSentence

from lrmctl import Prompt, Trace, make_reward
from lrmctl.testing import check_reward


def test_it_keeps_the_contract_of_rewards() -> None:
    check_reward(WholeSentence())


@pytest.mark.parametrize(
    ("answer", "value"),
    [("Four.", 1.0), ('He said "four."', 1.0), ("**Four!**", 1.0), ("Four, because", 0.0), ("", None), ("**", None)],
)
def test_an_answer_that_breaks_off_scores_0_and_none_at_all_has_no_score(answer: str, value: float | None) -> None:
    trace = Trace(Prompt.user("p", "2 + 2?", "benign"), "a thought", answer, "closed")
    assert WholeSentence().score([trace], "answer")[0].value == value


def test_a_recipe_finds_it_by_name() -> None:
    assert make_reward("whole-sentence")
