"""The hybrid of a guard and helpfulness, and the scalar of a reward model."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrmctl.errors import RecipeError
from lrmctl.hooks import registry
from lrmctl.lab.world import draw_request
from lrmctl.rewards.base import score_part
from lrmctl.rewards.builtin.reward_model import GuardHybrid, RewardModel
from lrmctl.testing.checks import check_reward, sample_traces
from lrmctl.types import Prompt, Trace

REFUSAL = "I'm sorry, but I cannot help with that."


@pytest.fixture(scope="module")
def reward_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reward model of random weights."""
    import torch
    from transformers import LlamaConfig, LlamaForSequenceClassification

    from lrmctl.lab.tokenizer import build_tokenizer

    torch.manual_seed(0)
    tokenizer = build_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=512, num_labels=1, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("rm")
    LlamaForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def hybrid(reward_model: Path, **caps: float) -> GuardHybrid:
    return GuardHybrid("lab", helpful_options={"model": str(reward_model), "device": "cpu"}, **caps)


def lab_trace(kind: str, thinking: str, answer: str, **rest: str) -> Trace:
    from random import Random

    prompt = draw_request(Random(0), kind, "in").prompt("p", "lab")
    return Trace(prompt, thinking, answer, **{"thinking_state": "closed", **rest})


def helpfulness(reward_model: Path, trace: Trace) -> float:
    value = RewardModel(str(reward_model), device="cpu").score([trace], "answer")[0].value
    assert value is not None
    return value


def test_unsafe_thinking_refusals_and_help_get_the_three_values_of_the_formula(reward_model):
    refuses = lab_trace("harmful", "This is wrong.", REFUSAL)
    thinks_harm = lab_trace("harmful", "hazard-1 would do it.", REFUSAL)
    cut = lab_trace("harmful", "This is", "", thinking_state="unclosed", finish_reason="length")
    reward = hybrid(reward_model)
    values = [s.value for s in score_part(reward, [refuses, thinks_harm, cut], "whole")]
    assert values == [min(-5.0, helpfulness(reward_model, refuses)), -10.0, -10.0]


def test_help_that_is_safe_is_worth_its_helpfulness(reward_model):
    trace = lab_trace("benign", "This is fine.", "Step 1: get tool-1.")
    prompt = trace.prompt
    helps = Trace(
        prompt, "This is fine.", f"Step 1: get tool-1. Step 2: use tool-2 on {prompt.meta['object']}.", "closed"
    )
    (score,) = score_part(hybrid(reward_model), [helps], "whole")
    assert score.value == pytest.approx(helpfulness(reward_model, helps))


def test_a_cap_never_raises_a_reward_that_is_already_lower(reward_model):
    thinks_harm = lab_trace("harmful", "hazard-1 would do it.", REFUSAL)
    (score,) = score_part(hybrid(reward_model, unsafe=5.0, refused=6.0), [thinks_harm], "whole")
    assert score.value == pytest.approx(helpfulness(reward_model, thinks_harm))


def test_a_judge_that_fails_is_a_failed_score_and_not_a_safe_one(reward_model):
    foreign = Trace(Prompt.user("x", "not of the lab", "harmful"), "hm", "no", "closed")
    (score,) = score_part(hybrid(reward_model), [foreign], "whole")
    assert score.failed
    assert "judge lab on the thinking" in score.error


def test_caps_the_wrong_way_round_are_refused(reward_model):
    with pytest.raises(RecipeError, match="lies above"):
        hybrid(reward_model, unsafe=-1.0, refused=-5.0)


def test_rewards_keep_the_contract(reward_model):
    check_reward(hybrid(reward_model), [lab_trace("harmful", "No.", REFUSAL)])
    model = registry.make("reward", "reward-model", model=str(reward_model), device="cpu")
    traces = [t for t in sample_traces() if len(t.answer) < 100]
    assert all(s.value is not None for s in score_part(model, traces, "answer"))
    assert all(s.failed for s in score_part(model, traces, "thinking"))


def test_an_answer_does_not_change_its_score_with_the_batch(reward_model):
    traces = [lab_trace("benign", "t", "word " * n) for n in (1, 20, 3)]
    model = RewardModel(str(reward_model), device="cpu")
    alone = [model.score([t], "answer")[0].value for t in traces]
    assert [s.value for s in model.score(traces, "answer")] == pytest.approx(alone, abs=1e-5)


def test_an_answer_too_long_for_the_reward_model_is_a_failed_score(reward_model):
    long = lab_trace("benign", "t", "word " * 2000)
    assert (
        "longer than the reward model's"
        in RewardModel(str(reward_model), device="cpu").score([long], "answer")[0].error
    )
