"""Rejection sampling from the shipped tiny model, with the real engine and store."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lrmctl.errors import LrmctlError, RewardError
from lrmctl.lab import base_path
from lrmctl.recipe.schema.recipes import Rejection
from lrmctl.runs.jsonl import read_jsonl
from lrmctl.training.rejection import rejection_sample

LAB = [
    {"use": "judged-safe", "name": "safe", "options": {"judge": "lab"}, "when": "harmful"},
    {"use": "judged-complied", "name": "helpful", "options": {"judge": "lab"}, "when": "benign"},
    {"use": "correct", "when": "reasoning"},
]


def rejection(*components: dict[str, Any], reward: dict[str, Any] | None = None, **rest: Any) -> Rejection:
    return Rejection.model_validate(
        {
            "prompts": [{"use": "lab-prompts", "options": {"n": 8}}],
            "samples_per_prompt": 4,
            "rollout": {"max_new_tokens": 112},
            "reward": {"components": components or LAB, **(reward or {})},
            **rest,
        }
    )


@pytest.fixture(scope="module")
def sampled(tmp_path_factory):
    out = tmp_path_factory.mktemp("rejection")
    return out, rejection_sample(base_path(), rejection(), seed=3, out=out)


def test_exactly_the_accepted_samples_become_demonstrations(sampled):
    out, kept = sampled
    rows = list(read_jsonl(out / "data" / "rejection.jsonl"))
    assert len(rows) == 32
    accepted = [r for r in rows if r["reward"] >= 1.0]
    assert [(d.prompt.id, d.thinking, d.answer) for d in kept] == [
        (r["prompt_id"], r["thinking"], r["answer"]) for r in accepted
    ]
    assert 0 < len(kept) < 32
    assert all(r["accepted"] == r["kept"] == (r["reward"] >= 1.0) for r in rows)


def test_acceptance_is_recorded_by_kind(sampled):
    out, kept = sampled
    kinds = json.loads((out / "data" / "rejection.json").read_text())["kinds"]
    assert {kind: facts["samples"] for kind, facts in kinds.items()} == {"harmful": 16, "benign": 8, "reasoning": 8}
    assert sum(facts["kept"] for facts in kinds.values()) == len(kept)
    assert all(facts["acceptance"] == facts["accepted"] / facts["samples"] for facts in kinds.values())


def test_a_second_call_draws_nothing_and_gives_the_same(sampled, monkeypatch):
    out, kept = sampled
    monkeypatch.setattr("lrmctl.models.load_model", lambda *_, **__: pytest.fail("the model was loaded again"))
    assert rejection_sample(base_path(), rejection(), seed=3, out=out) == kept


def test_the_same_seed_gives_the_same_samples_elsewhere_and_another_seed_others(sampled, tmp_path):
    _, kept = sampled
    assert rejection_sample(base_path(), rejection(), seed=3, out=tmp_path / "a") == kept
    assert rejection_sample(base_path(), rejection(), seed=4, out=tmp_path / "b") != kept


def test_the_first_accepted_samples_of_a_prompt_are_kept_up_to_the_limit(sampled):
    out, kept = sampled
    fewer = rejection_sample(base_path(), rejection(max_per_prompt=1), seed=3, out=out)
    first = list({d.prompt.id: d for d in reversed(kept)}.values())[::-1]
    assert fewer == first


def test_a_reward_that_nothing_reaches_is_an_error_with_the_best_one(sampled):
    out, _ = sampled
    with pytest.raises(LrmctlError, match="none of 32 samples reaches a reward of 5; the best reward is 1"):
        rejection_sample(base_path(), rejection(keep_at_least=5.0), seed=3, out=out)


@pytest.mark.usefixtures("odd_rewards")
def test_a_reward_that_raises_ends_the_sampling_with_its_words(sampled):
    out, _ = sampled
    with pytest.raises(
        RewardError, match="reward 'odd-raising' failed on prompt 'lab-prompts/0/0': ValueError: the gu"
    ):
        rejection_sample(base_path(), rejection({"use": "odd-raising"}), seed=3, out=out)


@pytest.mark.usefixtures("odd_rewards")
def test_a_sample_whose_reward_failed_is_never_accepted(sampled):
    out, _ = sampled
    odd = {"use": "odd-raising-on", "options": {"text": "boxed"}}
    forgiving = {"on_failure": "neutral", "max_failure_rate": 1.0}
    kept = rejection_sample(base_path(), rejection(odd, reward=forgiving), seed=3, out=out)
    assert not any("boxed" in d.answer for d in kept)
    kinds = json.loads((out / "data" / "rejection.json").read_text())["kinds"]
    assert kinds["reasoning"]["failed"] > 0


def test_samples_of_a_prompt_are_compared_with_each_other(sampled, tmp_path, monkeypatch):
    monkeypatch.setattr("lrmctl.builders.opinions.AT_ONCE", 6)  # not a multiple of a group
    out, _ = sampled
    counted = "def score(group):\n    return [len(group) + 10 * len({t.prompt.id for t in group}) for _ in group]\n"
    (tmp_path / "own.py").write_text(counted)
    rejection_sample(base_path(), rejection({"fn": f"{tmp_path / 'own.py'}:score"}), seed=3, out=out)
    rows = list(read_jsonl(out / "data" / "rejection.jsonl"))
    assert [row["reward"] for row in rows] == [14.0] * 32  # four samples of one prompt
    assert [row["sample"] for row in rows] == [0, 1, 2, 3] * 8


def test_rows_are_those_of_a_plain_loop_over_the_transformers_engine(sampled, tmp_path):
    """Draw, score, accept, keep: what rejection sampling did before it was a use of the data builders."""
    from lrmctl.data.sources import load_prompts
    from lrmctl.engines.base import Rendering, Sampling
    from lrmctl.engines.hf.engine import HfEngine
    from lrmctl.engines.store import Store, sample_traces
    from lrmctl.rewards.compose import ComposedReward

    _, kept = sampled
    section = rejection()
    how = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=112)
    with Store(tmp_path / "plain.sqlite") as store:
        engine = HfEngine(base_path(), rendering=Rendering())
        traces = sample_traces(engine, store, load_prompts(section.prompts), how, 4, 3)
    rewards = ComposedReward(section.reward).score(traces)
    accepted = [t for t, r in zip(traces, rewards, strict=True) if r.total is not None and r.total >= 1.0]
    assert [(d.prompt, d.thinking, d.answer) for d in kept] == [(t.prompt, t.thinking, t.answer) for t in accepted]
