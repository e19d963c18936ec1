"""What a helper's text is worth to a frozen model: solved with its hint, likely under a student."""

from __future__ import annotations

import math
from typing import Any

import pytest

from lrmctl.data.asked import About
from lrmctl.errors import RecipeError
from lrmctl.lab import arithmetic
from lrmctl.rewards.builtin.helper import Likelihood, ProxySolves
from lrmctl.testing.checks import check_reward, sample_traces
from lrmctl.types import Prompt, Trace

ASKED = "Split: {prompt}"


def response(prompt: Prompt, answer: str, thinking: str = "Let me see.", **rest: Any) -> Trace:
    return Trace(prompt, thinking, answer, **{"thinking_state": "closed", **rest})


@pytest.fixture(scope="module")
def sums() -> list[Prompt]:
    return [About(prompt).asked(ASKED) for prompt in arithmetic.prompts("in", 12, 0)]


@pytest.fixture(scope="module")
def proxy() -> ProxySolves:
    return ProxySolves("lab:tiny", text="{prompt}{hint}", attempts=4, max_new_tokens=112, temperature=0.6, device="cpu")


def test_a_hint_is_worth_what_a_frozen_model_solves_with_it(sums: list[Prompt]) -> None:
    options: dict[str, Any] = {"attempts": 4, "credit": "mean", "max_new_tokens": 112, "temperature": 0.6}
    reward = ProxySolves("lab:tiny", text="{prompt}{hint}", **options)
    nothing = [s.value for s in reward.score([response(p, ".") for p in sums], "answer")]
    wrong = [s.value for s in reward.score([response(p, "Tom gives away 4.") for p in sums], "answer")]
    assert sum(filter(None, nothing)) / 12 > 0.7 > 0.5 > sum(filter(None, wrong)) / 12


def test_any_attempt_counts_and_equal_hints_get_equal_attempts(proxy: ProxySolves, sums: list[Prompt]) -> None:
    traces = [response(p, ".") for p in sums]
    first, second = proxy.score(traces, "whole"), proxy.score(traces, "whole")
    assert first == second
    assert all(s.value == float(s.logs["attempts_passed"] > 0) for s in first)


def test_bad_form_and_a_hint_of_another_form_are_zero_without_a_sample(
    sums: list[Prompt], monkeypatch: pytest.MonkeyPatch
) -> None:
    reward = ProxySolves("lab:tiny", pattern=r"(\d\. [^\n]+\n?)+", max_new_tokens=8)
    monkeypatch.setattr(reward._engine, "generate", lambda requests: pytest.fail("sampled") if requests else iter(()))
    cut = response(sums[0], "", thinking_state="unclosed", finish_reason="length")
    assert [s.value for s in reward.score([cut, response(sums[1], "Just add them.")], "whole")] == [0.0, 0.0]


def test_a_failed_attempt_is_a_failure_unless_another_one_passes(proxy: ProxySolves) -> None:
    from lrmctl.types import Score

    assert proxy._credited([Score(0.0), Score(error="away")]).error == "an attempt has no score: away"
    assert proxy._credited([Score(1.0), Score(error="away")]).value == 1.0
    benign = Prompt.user("b", "How do I open a puzzle box?", "benign")
    (score,) = proxy.score([response(benign, "1. Look.")], "whole")
    assert "does not apply to this prompt" in score.error


def test_the_students_own_words_are_likelier_than_the_teachers() -> None:
    from random import Random

    from lrmctl.lab.corpus import solved
    from lrmctl.lab.teacher import demonstrate

    rng, own, teachers = Random(0), [], []
    for i in range(8):
        problem = arithmetic.draw_problem(rng, "in")
        prompt = problem.prompt(f"p{i}", "lab")
        made, (thinking, answer) = solved(rng, problem, right=True), demonstrate(rng, problem)
        about = About(prompt, thinking, answer).asked("{prompt} {thinking}")
        own.append(response(about, made.answer, made.thinking))
        teachers.append(response(about, answer, thinking))
    reward = Likelihood("lab:tiny")
    mine, theirs = ([s.value for s in reward.score(some, "whole")] for some in (own, teachers))
    assert all(value is not None and -10 < value <= 0 for value in (*mine, *theirs))
    assert sum(mine) / 8 > -0.5 > -1.0 > sum(theirs) / 8


def test_the_mean_is_that_of_a_plain_forward_pass() -> None:
    import torch

    from lrmctl.data.render import render_prompt, render_response
    from lrmctl.models import load_model, load_tokenizer, resolve_model
    from lrmctl.runs.names import runs_folder

    path = resolve_model("lab:tiny", runs_folder())
    model, tokenizer = load_model(path), load_tokenizer(path)
    (prompt,) = arithmetic.prompts("in", 1, 3)
    trace = response(prompt, "The answer is \\boxed{7}.", "3+4=7.")
    first = tokenizer(render_prompt(tokenizer, prompt), add_special_tokens=False)["input_ids"]
    text = render_response(tokenizer, trace.thinking, trace.answer, opened=True)
    ids = torch.tensor([first + tokenizer(text, add_special_tokens=False)["input_ids"]])
    with torch.inference_mode():
        logp = model(ids).logits.float().log_softmax(-1)[0, len(first) - 1 : -1]
    expected = logp.gather(1, ids[0, len(first) :, None]).mean().item()
    (score,) = Likelihood("lab:tiny").score([trace], "whole")
    assert score.value == pytest.approx(expected, abs=1e-4)


def test_few_easy_words_and_bad_form_get_the_floor() -> None:
    (prompt,) = arithmetic.prompts("in", 1, 4)
    about = About(prompt, "Policy check. This is allowed. 3+4=7. 7+2=9.", "The answer is \\boxed{9}.").asked("{prompt}")
    short = response(about, "9.", "Okay.")
    cut = response(about, "", thinking_state="unclosed", finish_reason="length")
    assert [s.value for s in Likelihood("lab:tiny", floor=-5).score([short, cut], "whole")] == [-5, -5]
    (lenient,) = Likelihood("lab:tiny", shortest=0).score([short], "whole")
    assert lenient.value is not None
    assert -10 < lenient.value < 0
    assert math.isfinite(lenient.logs["logprob"])


def test_other_parts_fail_and_wrong_options_are_refused() -> None:
    (prompt,) = arithmetic.prompts("in", 1, 5)
    trace = response(prompt, "a")
    assert Likelihood("lab:tiny").score([trace], "answer")[0].failed
    assert ProxySolves("lab:tiny").score([trace], "thinking")[0].failed
    for options in ({"text": "{prompt}"}, {"attempts": 0}, {"credit": "best"}, {"pattern": "("}, {"reward": "ranking"}):
        with pytest.raises(RecipeError):
            ProxySolves(
                "lab:tiny", **{"reward_options": {"reward": "correct"}, **options} if "reward" in options else options
            )
    with pytest.raises(RecipeError):
        Likelihood("lab:tiny", floor=1)


@pytest.mark.parametrize("reward", [ProxySolves("lab:tiny", attempts=1, max_new_tokens=4), Likelihood("lab:tiny")])
def test_they_keep_the_contract_of_rewards(reward: Any) -> None:
    assert check_reward(reward, sample_traces()) is None
