"""The transformers engine on CUDA: `generate`'s greedy tokens, the CPU's probabilities, and running out of memory.

Two ways of computing the same matrix product round differently, and where a row's two best tokens are that close they
may part: the first difference of a row must be such a tie, and what follows is not compared.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from gpu_figures import Figures, seconds
from gpu_models import config_of, prompts_of, saved

from lrmctl.engines.base import GenerationRequest, Sampling
from lrmctl.engines.hf.engine import HfEngine
from lrmctl.models.shipped import base_path

VOCAB = 32_000
TIES = {"float32": 1e-3, "bfloat16": 0.25}
"""Difference of two logits, in standard deviations of a position's logits, below which either token may be taken."""
NEW = 64


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    llama = saved(folder / "llama", config_of("llama"))
    return {"lab": base_path(), "llama": llama, "qwen3": saved(folder / "qwen3", config_of("qwen3"))}


def asked(prompts: Sequence[Sequence[int]], sampling: Sampling, seed: int = 0) -> list[GenerationRequest]:
    return [GenerationRequest(f"prompt {i}", sampling, seed=seed, ids=tuple(p)) for i, p in enumerate(prompts)]


def ours(engine: HfEngine, requests: Sequence[GenerationRequest]) -> list[list[int]]:
    found = {i: completion for some in engine.generate(requests) for i, completion in some}
    assert [found[i].error for i in range(len(requests))] == [""] * len(requests)
    return [list(found[i].ids) for i in range(len(requests))]


def theirs(model: Any, prompts: Sequence[Sequence[int]], ends: Sequence[int], pad: int, **how: Any) -> list[list[int]]:
    """transformers' `generate`, greedy, on one left-padded batch; without the end-of-text token."""
    import torch

    from lrmctl.engines.hf.padding import left_pad

    tokens, mask = (each.to(model.device) for each in left_pad(prompts, pad))
    with torch.inference_mode():
        out = model.generate(
            input_ids=tokens, attention_mask=mask, do_sample=False, eos_token_id=list(ends), pad_token_id=pad, **how
        )
    rows = out[:, tokens.shape[1] :].tolist()
    return [row[: next((i for i, token in enumerate(row) if token in ends), len(row))] for row in rows]


def first_difference(a: Sequence[int], b: Sequence[int]) -> int | None:
    if a == b:
        return None
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def gap(model: Any, prompt: Sequence[int], a: Sequence[int], b: Sequence[int], at: int, end: int) -> float:
    """Difference of the two tokens' logits after the common part, in standard deviations of all logits."""
    import torch

    one, other = (ids[at] if at < len(ids) else end for ids in (a, b))
    with torch.inference_mode():
        logits = model(torch.tensor([[*prompt, *a[:at]]], device=model.device)).logits[0, -1].float()
    return float((logits[one] - logits[other]).abs() / logits.std())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["lab", "llama", "qwen3"])
def test_greedy_tokens_are_those_of_generate(
    name: str, dtype: str, checkpoints: dict[str, Path], figures: Figures
) -> None:
    from lrmctl.models import eos_ids, load_model

    engine = HfEngine(checkpoints[name], batch_size=16, device="cuda", dtype=dtype)
    plain = load_model(checkpoints[name], dtype=dtype, device="cuda")
    prompts = prompts_of(48, 3, 60, min(VOCAB, plain.config.vocab_size))
    ends, pad = sorted(eos_ids(plain, engine.tokenizer)), engine.tokenizer.pad_token_id
    found = ours(engine, asked(prompts, Sampling(0.0, max_new_tokens=NEW)))
    wanted = theirs(plain, prompts, ends, pad, max_new_tokens=NEW)
    places = [first_difference(a, b) for a, b in zip(found, wanted, strict=True)]
    gaps = [
        gap(plain, prompt, a, b, at, ends[0])
        for prompt, a, b, at in zip(prompts, found, wanted, places, strict=True)
        if at is not None
    ]
    before = sum(len(a) if at is None else at for a, at in zip(found, places, strict=True))
    share = before / max(1, sum(map(len, wanted)))
    note = f"{len(gaps)} of {len(prompts)} rows part, at ties of at most {max(gaps, default=0.0):.1e} deviations"
    figures.add("generation", f"greedy tokens as `generate`'s, {name} in {dtype}", 100 * share, "%", note)
    assert max(gaps, default=0.0) < TIES[dtype]


@pytest.mark.parametrize("batch", [16, 128])
def test_tokens_per_second_beside_generate_are_recorded(
    batch: int, tmp_path_factory: pytest.TempPathFactory, figures: Figures
) -> None:
    from lrmctl.models import load_model

    folder = saved(tmp_path_factory.mktemp("half") / "model", config_of(size="half"))
    engine = HfEngine(folder, batch_size=batch, device="cuda", dtype="bfloat16")
    plain = load_model(folder, dtype="bfloat16", device="cuda")
    prompts = prompts_of(batch, 20, 120, VOCAB)
    sampling = Sampling(0.0, max_new_tokens=128, min_new_tokens=128)
    requests = asked(prompts, sampling)

    def generate() -> int:
        return sum(map(len, theirs(plain, prompts, [0], 0, max_new_tokens=128, min_new_tokens=128)))

    def engine_s() -> int:
        return sum(map(len, ours(engine, requests)))

    counts = [work() for work in (engine_s, generate)]  # a warm-up of each
    assert min(counts) >= 127 * batch
    times = [(seconds(engine_s), seconds(generate)) for _ in range(3)]
    mine, other = (min(column) for column in zip(*times, strict=True))
    speeds = f"{counts[0] / mine:,.0f} against {counts[1] / other:,.0f} tokens/s, 0.45 B in bf16, best of three"
    figures.add("generation", f"the engine's tokens/s over `generate`'s, batch {batch}", other / mine, "times", speeds)


def test_samples_repeat_and_follow_the_cpu_s_random_numbers(checkpoints: dict[str, Path], figures: Figures) -> None:
    """Temperature, top-k, top-p and a minimum length; the random numbers are of the CPU on either device."""
    prompts = prompts_of(24, 3, 40, 90)
    sampling = Sampling(0.8, top_p=0.9, top_k=40, max_new_tokens=32, min_new_tokens=4)
    found = {}
    for device in ("cuda", "cpu"):
        engine = HfEngine(checkpoints["lab"], batch_size=8, device=device, dtype="float32")
        found[device] = ours(engine, asked(prompts, sampling))
        if device == "cuda":
            assert ours(engine, asked(prompts, sampling)) == found[device]
    assert min(map(len, found["cuda"])) >= 4
    same = sum(a == b for a, b in zip(found["cuda"], found["cpu"], strict=True))
    figures.add("generation", "samples in fp32 that are the CPU's", 100 * same / len(prompts), "%", "lab model")
    assert same >= 0.8 * len(prompts)  # a random number may fall between two roundings of a sum


def test_probabilities_are_those_of_the_cpu(checkpoints: dict[str, Path]) -> None:
    """First tokens of judges, log-likelihoods and hidden states, in fp32."""
    import numpy as np

    texts = [f"A question to a guard, with a policy that all have in common. Number {i}?" for i in range(20)]
    requests = [GenerationRequest(text, Sampling(0.0, max_new_tokens=4), question=True) for text in texts]
    choices = [("y", "n")] * len(texts)
    pairs = [([5, 6, 7, 8 + i % 20], [9, 10 + i, 11][: 1 + i % 3]) for i in range(20)]
    found = {}
    for device in ("cpu", "cuda"):
        engine = HfEngine(checkpoints["llama"], batch_size=8, device=device, dtype="float32")
        first = engine.first_token_probabilities(requests, choices)
        assert [one.error for one in first] == [""] * len(texts)
        found[device] = (
            [[one.probabilities[word] for word in "yn"] for one in first],
            [one.logprob for one in engine.loglikelihood([(text, " yes, it is") for text in texts])],
            engine.rolling_loglikelihood(texts),
            engine.mean_hidden_states(pairs, 4),
            engine.mean_hidden_states(pairs, -1),
        )
    for cpu, cuda in zip(found["cpu"], found["cuda"], strict=True):
        np.testing.assert_allclose(np.asarray(cuda), np.asarray(cpu), rtol=1e-3, atol=1e-3)


def test_running_out_of_memory_halves_the_batch_and_loses_nothing(checkpoints: dict[str, Path]) -> None:
    import torch

    engine = HfEngine(checkpoints["llama"], batch_size=512, device="cuda", dtype="bfloat16")
    engine.prepare()
    prompts = prompts_of(512, 8, 16, VOCAB)
    requests = asked(prompts, Sampling(1.0, max_new_tokens=128, min_new_tokens=100))
    torch.cuda.empty_cache()
    whole = torch.cuda.get_device_properties(0).total_memory
    room = 400 * 1024**2  # the keys and values of 512 rows take 8 x 1 KiB x 144 x 512 = 576 MiB, and logits come on top
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + room) / whole)
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            found = ours(engine, requests)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert any("out of memory with" in str(one.message) for one in told)
    assert min(map(len, found)) >= 100


def test_what_running_out_of_memory_raises_on_cuda_is_recognised() -> None:
    import torch

    from lrmctl.engines.hf.memory import out_of_memory

    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50, dtype=torch.uint8, device="cuda")
    assert out_of_memory(caught.value)
