from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tiny_network import tiny_network
from transformers import LlamaForCausalLM

from lrmctl.engines.hf import token_statistics as module
from lrmctl.engines.hf.token_statistics import Pair, statistics_of_logits, token_statistics
from lrmctl.engines.probabilities import TokenStatistics

FIELDS = TokenStatistics._fields


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    return tiny_network()


@pytest.fixture(scope="module")
def base() -> LlamaForCausalLM:
    return tiny_network(seed=1)


def random_pairs() -> list[Pair]:
    rng = np.random.default_rng(0)
    sizes = [(4, 9), (11, 30), (2, 1), (7, 17), (5, 0)]
    return [(rng.integers(1, 97, a).tolist(), rng.integers(1, 97, b).tolist()) for a, b in sizes]


def read(model: Any, pairs: list[Pair], **how: Any) -> list[TokenStatistics]:
    found = {i: one for some in token_statistics(model, pairs, pad=0, **how) for i, one in some}
    return [found[i] for i in range(len(pairs))]


def log_probabilities(model: Any, pair: Pair) -> torch.Tensor:
    """In float64, at each token of the continuation: [tokens, V]."""
    context, rest = pair
    with torch.no_grad():
        logits = model(torch.tensor([[*context, *rest]])).logits[0].double()
    return torch.log_softmax(logits, -1)[len(context) - 1 : len(context) + len(rest) - 1]


def by_definition(model: Any, base: Any, pair: Pair, k: int) -> dict[str, np.ndarray]:
    p, q = log_probabilities(model, pair), log_probabilities(base, pair)
    said = torch.tensor(pair[1], dtype=torch.long).unsqueeze(-1)
    entropy = -(p.exp() * p).sum(-1)
    found = {
        "entropy": entropy,
        "varentropy": (p.exp() * (p + entropy.unsqueeze(-1)) ** 2).sum(-1),
        "top_mass": p.exp().sort(descending=True).values[:, :k].sum(-1),
        "logprob": p.gather(-1, said).squeeze(-1),
        "base_entropy": -(q.exp() * q).sum(-1),
        "kl": (p.exp() * (p - q)).sum(-1),
        "log_ratio": (p - q).gather(-1, said).squeeze(-1),
    }
    return {name: value.numpy() for name, value in found.items()}


@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_every_figure_is_its_definition_one_text_at_a_time(
    model: LlamaForCausalLM, base: LlamaForCausalLM, batch_size: int
) -> None:
    pairs = random_pairs()
    for found, pair in zip(read(model, pairs, base=base, top_k=5, batch_size=batch_size), pairs, strict=True):
        wanted = by_definition(model, base, pair, 5)
        for name in FIELDS:
            np.testing.assert_allclose(getattr(found, name), wanted[name], atol=2e-4, err_msg=name)


def test_without_a_base_its_figures_are_not_there(model: LlamaForCausalLM) -> None:
    for found in read(model, random_pairs()):
        assert (found.base_entropy, found.kl, found.log_ratio) == (None, None, None)


def test_a_model_has_no_divergence_from_itself(model: LlamaForCausalLM) -> None:
    for found in read(model, random_pairs(), base=model):
        assert found.kl is not None
        assert found.log_ratio is not None
        np.testing.assert_allclose(found.kl, 0, atol=2e-6)
        np.testing.assert_array_equal(found.log_ratio, np.zeros_like(found.log_ratio))
        assert found.base_entropy is not None
        np.testing.assert_allclose(found.base_entropy, found.entropy, atol=2e-6)


@pytest.mark.parametrize("budget", [1, 97 * 5 * 7, 97 * 5 * 20])
def test_chunking_over_positions_changes_nothing(model: LlamaForCausalLM, base: LlamaForCausalLM, budget: int) -> None:
    whole = read(model, random_pairs(), base=base)
    chunked = read(model, random_pairs(), base=base, logits_budget=budget)
    for a, b in zip(whole, chunked, strict=True):
        for name in FIELDS:
            np.testing.assert_allclose(getattr(a, name), getattr(b, name), atol=1e-4, err_msg=name)


@pytest.fixture
def shapes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Of the logits of each chunk."""
    seen: list[tuple[int, ...]] = []

    def told(logits: torch.Tensor, *rest: torch.Tensor, top_k: int) -> torch.Tensor:
        seen.append(tuple(logits.shape))
        return statistics_of_logits(logits, *rest, top_k=top_k)

    monkeypatch.setattr(module, "statistics_of_logits", told)
    return seen


def test_no_call_computes_more_logits_than_the_budget(model: LlamaForCausalLM, shapes: list[tuple[int, ...]]) -> None:
    read(model, random_pairs(), logits_budget=97 * 5 * 4)
    assert len(shapes) > 1
    assert max(np.prod(shape) for shape in shapes) <= 97 * 5 * 4


def test_the_logits_of_contexts_are_not_computed(model: LlamaForCausalLM, shapes: list[tuple[int, ...]]) -> None:
    ids = np.random.default_rng(1).integers(1, 97, 5_060).tolist()
    pair = (ids[:5_000], ids[5_000:])
    (found,) = read(model, [pair])
    assert sum(shape[1] for shape in shapes) == 61  # those that are about the 60 tokens, and the last one
    np.testing.assert_allclose(found.entropy, by_definition(model, model, pair, 5)["entropy"], atol=2e-5)


def test_a_large_vocabulary_makes_batches_smaller_and_not_chunks(
    model: LlamaForCausalLM, shapes: list[tuple[int, ...]]
) -> None:
    read(model, [([1, 2], list(range(1, 90)) * 3) for _ in range(4)], logits_budget=97 * 64)
    assert {shape[0] for shape in shapes} == {1}
    assert max(shape[1] for shape in shapes) == 64


def test_known_distributions_have_their_textbook_values() -> None:
    uniform, certain = torch.zeros(8), torch.tensor([0.0] + [-torch.inf] * 7)
    said = torch.tensor(3)
    entropy, varentropy, top, logprob = statistics_of_logits(uniform, said, top_k=2).tolist()
    assert (entropy, varentropy) == (pytest.approx(np.log(8), abs=1e-6), pytest.approx(0, abs=1e-6))
    assert (top, logprob) == (pytest.approx(2 / 8), pytest.approx(-np.log(8), abs=1e-6))
    assert statistics_of_logits(certain, torch.tensor(0), top_k=2).tolist() == [0, 0, 1, 0]
    *_, base_entropy, kl, log_ratio = statistics_of_logits(certain, uniform, torch.tensor(0)).tolist()
    assert (base_entropy, kl, log_ratio) == (pytest.approx(np.log(8), abs=1e-6),) * 3


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0, 300.0])
def test_a_real_vocabulary_is_exact_to_a_few_hundred_thousandths(scale: float) -> None:
    """Against float64, from nearly uniform to nearly certain; masked words, as some models have, count nothing."""
    torch.manual_seed(0)
    logits, other = torch.randn(2, 16, 152_000) * scale
    logits[:, ::1000] = -torch.inf
    found = statistics_of_logits(logits, other, torch.arange(1, 17))
    exact = torch.distributions.Categorical(logits=logits.double())
    there = torch.distributions.Categorical(logits=other.double())
    np.testing.assert_allclose(found[0].double(), exact.entropy(), atol=5e-5)
    np.testing.assert_allclose(found[4].double(), there.entropy(), atol=5e-5)
    divergence = (exact.probs * (exact.logits.clamp(min=-1e9) - there.logits)).sum(-1)
    np.testing.assert_allclose(found[5].double(), divergence, atol=1e-4, rtol=1e-5)


def test_a_vocabulary_smaller_than_k_has_all_of_its_mass() -> None:
    assert statistics_of_logits(torch.randn(3, 7), torch.tensor([0, 1, 2]), top_k=50)[2].tolist() == pytest.approx(
        [1.0] * 3
    )
