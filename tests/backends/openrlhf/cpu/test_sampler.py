"""The token loop against transformers' own `generate` and plain forward passes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from lrmctl.engines.base import SampledTokens, Sampling
from lrmctl.engines.hf.batch_sampler import sample

EOS, PAD, MAX_LEN = 1, 0, 200
MIXED = [
    Sampling(max_new_tokens=20),
    Sampling(temperature=0.7, top_p=0.9, max_new_tokens=25, min_new_tokens=5),
    Sampling(temperature=1.3, top_k=5, max_new_tokens=30),
    Sampling(temperature=0, max_new_tokens=12),
]


def draw(
    model: Any,
    prompts: Sequence[Sequence[int]],
    params: Sequence[Sampling] | Sampling,
    *,
    eos: set[int] | None = None,
    max_len: int = MAX_LEN,
    seeds: Sequence[int] | None = None,
) -> list[SampledTokens]:
    each = [params] * len(prompts) if isinstance(params, Sampling) else params
    row_seeds = range(len(prompts)) if seeds is None else seeds
    return sample(model, prompts, each, eos=eos or {EOS}, pad=PAD, max_len=max_len, seeds=row_seeds)


def scaled_logits(model: Any, prompt: Sequence[int], completion: Sequence[int], temperature: float = 1.0) -> Any:
    """Temperature-scaled logits that predicted each completion token, `[T, V]`, from one pass without a cache."""
    import torch

    with torch.no_grad():
        logits = model(torch.tensor([[*prompt, *completion]])).logits[0, len(prompt) - 1 : -1]
    return logits.float() / temperature


@pytest.mark.e2e
def test_greedy_is_what_generate_gives(model: Any, prompts: list[list[int]]) -> None:
    import torch

    ours = draw(model, prompts, Sampling(temperature=0, max_new_tokens=40))
    for prompt, sampled in zip(prompts, ours, strict=True):
        theirs = model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            do_sample=False,
            max_new_tokens=40,
            pad_token_id=PAD,
            eos_token_id=EOS,
        )
        assert list(sampled.ids) == theirs[0, len(prompt) :].tolist()


def test_log_probabilities_are_those_of_a_forward_pass(model: Any, prompts: list[list[int]]) -> None:
    for prompt, sampled in zip(prompts, draw(model, prompts, Sampling(temperature=0.7)), strict=True):
        logp = scaled_logits(model, prompt, sampled.ids, 0.7).log_softmax(-1)
        expected = [logp[i, token].item() for i, token in enumerate(sampled.ids)]
        assert list(sampled.logprobs) == pytest.approx(expected, abs=1e-4)


def test_a_row_draws_the_same_alone_and_in_any_batch(model: Any, prompts: list[list[int]]) -> None:
    params = MIXED * 4
    ends = set(range(1, 12))
    together = draw(model, prompts, params, eos=ends)
    alone = [
        draw(model, [p], [s], eos=ends, seeds=[i])[0] for i, (p, s) in enumerate(zip(prompts, params, strict=True))
    ]
    backwards = draw(model, prompts[::-1], params[::-1], eos=ends, seeds=range(15, -1, -1))[::-1]
    assert [s.ids for s in together] == [s.ids for s in alone] == [s.ids for s in backwards]
    assert len({len(s.ids) for s in together}) > 4  # rows did leave the batch at different times


def test_the_stream_of_a_row_does_not_depend_on_its_length_limit(llama: Any, prompts: list[list[int]]) -> None:
    short = draw(llama, prompts, Sampling(max_new_tokens=7), eos={PAD})
    long = draw(llama, prompts, Sampling(max_new_tokens=90), eos={PAD})
    assert [s.ids for s in short] == [s.ids[: len(t.ids)] for s, t in zip(long, short, strict=True)]


def test_another_seed_draws_something_else(llama: Any, prompts: list[list[int]]) -> None:
    one, two = draw(llama, prompts, Sampling()), draw(llama, prompts, Sampling(), seeds=range(100, 116))
    assert [s.ids for s in one] != [s.ids for s in two]


def test_top_k_keeps_the_k_most_likely_tokens(model: Any, prompts: list[list[int]]) -> None:
    for prompt, sampled in zip(prompts, draw(model, prompts, Sampling(top_k=3, max_new_tokens=30)), strict=True):
        best = scaled_logits(model, prompt, sampled.ids).topk(3).indices.tolist()
        assert all(token in allowed for token, allowed in zip(sampled.ids, best, strict=True))


def test_top_p_keeps_the_smallest_set_that_reaches_p(model: Any, prompts: list[list[int]]) -> None:
    for prompt, sampled in zip(prompts, draw(model, prompts, Sampling(top_p=0.5, max_new_tokens=30)), strict=True):
        probs = scaled_logits(model, prompt, sampled.ids).softmax(-1)
        for row, token, logprob in zip(probs, sampled.ids, sampled.logprobs, strict=True):
            values, order = row.sort(descending=True)
            size = int((values.cumsum(0) < 0.5).sum()) + 1
            assert token in order[:size].tolist()
            assert logprob == pytest.approx(math.log(row[token] / values[:size].sum()), abs=1e-3)


def test_draws_follow_the_distribution(llama: Any) -> None:
    prompt, n = [7, 8, 9], 4000
    rows = draw(llama, [prompt] * n, Sampling(max_new_tokens=1))
    seen = Counter(row.ids[0] for row in rows)
    probs = scaled_logits(llama, prompt, [2])[0].softmax(-1).tolist()
    for token, p in enumerate(probs):
        assert abs(seen[token] / n - p) < 5 * math.sqrt(p * (1 - p) / n) + 1 / n


def test_no_end_before_the_minimum(llama: Any, prompts: list[list[int]]) -> None:
    ends = set(range(2, 200))
    free = draw(llama, prompts, Sampling(max_new_tokens=40), eos=ends)
    held = draw(llama, prompts, Sampling(max_new_tokens=40, min_new_tokens=9), eos=ends)
    assert min(len(s.ids) for s in free) < 9
    assert all(len(s.ids) > 9 and not ends & set(s.ids[:9]) for s in held)


def test_length_limits_are_told_from_stops(llama: Any, prompts: list[list[int]]) -> None:
    ends = set(range(2, 40))
    rows = draw(llama, prompts, Sampling(max_new_tokens=12), eos=ends)
    assert {s.finish_reason for s in rows} == {"stop", "length"}
    for row in rows:
        assert not ends & set(row.ids[:-1])
        assert (row.ids[-1] in ends) == (row.finish_reason == "stop")
        assert len(row.ids) == len(row.logprobs) <= 12


def test_prompt_and_completion_share_the_context(llama: Any) -> None:
    rows = draw(llama, [[5] * 18, [5] * 20, [5] * 25], Sampling(max_new_tokens=50), eos={PAD}, max_len=20)
    assert [len(s.ids) for s in rows] == [2, 0, 0]
    assert {s.finish_reason for s in rows} == {"length"}


def test_an_empty_prompt_and_uneven_arguments_are_refused(llama: Any) -> None:
    with pytest.raises(ValueError, match="prompt 1 has no tokens"):
        draw(llama, [[3], []], Sampling())
    with pytest.raises(ValueError, match="2 prompts, 2 sampling parameters and 1 seeds"):
        draw(llama, [[3], [4]], Sampling(), seeds=[0])
    assert draw(llama, [], Sampling()) == []


def test_broken_weights_are_an_error_and_not_a_completion() -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"vocab_size": 20, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    broken = LlamaForCausalLM(LlamaConfig(intermediate_size=16, **sizes)).eval()
    with torch.no_grad():
        broken.lm_head.weight.fill_(float("nan"))
    with pytest.raises(ArithmeticError, match="not numbers"):
        draw(broken, [[3]], Sampling(max_new_tokens=3))


def test_models_without_position_ids_are_sampled_too(prompts: list[list[int]]) -> None:
    """BLOOM takes its positions from the attention mask."""
    import torch
    from transformers import BloomConfig, BloomForCausalLM

    torch.manual_seed(0)
    bloom = BloomForCausalLM(BloomConfig(vocab_size=258, hidden_size=32, n_layer=2, n_head=2)).eval()
    together = draw(bloom, prompts, Sampling(max_new_tokens=10))
    assert [s.ids for s in together] == [
        draw(bloom, [p], Sampling(max_new_tokens=10), seeds=[i])[0].ids for i, p in enumerate(prompts)
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -0.1},
        {"temperature": math.nan},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"top_k": -1},
        {"max_new_tokens": -1},
        {"min_new_tokens": -1},
    ],
)
def test_parameters_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be"):
        Sampling(**wrong)
