"""vLLM on CUDA behind the engines' protocol, beside the transformers engine."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from gpu_figures import Figures, seconds

from lrmctl.engines.base import Completion, Engine, GenerationRequest, Sampling
from lrmctl.models.shipped import base_path
from lrmctl.types import Prompt

PROMPTS = [Prompt.user(f"p{i}", f"{i + 2} + {i * 3} =", "reasoning") for i in range(64)]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Engine]]:
    """vLLM and transformers on the lab's model in fp32, its heads widened to what vLLM's kernels take."""
    if importlib.util.find_spec("vllm") is None:
        pytest.skip("not installed: vllm")
    from lrmctl.engines.factory import make_engine
    from lrmctl.lab.widen import widen
    from lrmctl.recipe.schema.engines import HfOptions, VllmOptions

    folder = tmp_path_factory.mktemp("wide") / "model"
    widen(base_path(), folder, 32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_WORKER_MULTIPROC_METHOD", "spawn")  # CUDA is in use in this process already
        patch.setenv("VLLM_NO_USAGE_STATS", "1")
        options = VllmOptions(dtype="float32", memory=0.2, options={"enforce_eager": True})
        engine: Any = make_engine(folder, options, batch_size=64)
        yield engine, make_engine(folder, HfOptions(dtype="float32", device="cuda"), batch_size=64)
        engine.release()


def drawn(engine: Engine, requests: Sequence[GenerationRequest]) -> list[Completion]:
    found = [one for batch in engine.generate(requests) for one in batch]
    assert sorted(i for i, _ in found) == list(range(len(requests)))
    return [completion for _, completion in sorted(found, key=lambda one: one[0])]


def requests_of(engine: Engine, sampling: Sampling) -> list[GenerationRequest]:
    return [engine.request(prompt, sampling, 0, 3) for prompt in PROMPTS]


def test_greedy_completions_are_those_of_transformers(both: tuple[Engine, Engine], figures: Figures) -> None:
    vllm, hf = both
    requests = requests_of(vllm, Sampling(0.0, max_new_tokens=96))
    found, wanted = drawn(vllm, requests), drawn(hf, requests)
    same = sum(a.ids == b.ids for a, b in zip(found, wanted, strict=True))
    figures.add("vLLM", "greedy completions that are transformers', fp32", 100 * same / len(found), "%", "lab model")
    assert same >= 0.9 * len(found)  # rounding parts rows at near-ties


def test_samples_repeat_with_their_seed(both: tuple[Engine, Engine]) -> None:
    vllm, _ = both
    requests = [replace(one, sample=i % 2) for i, one in enumerate(requests_of(vllm, Sampling(1.0, max_new_tokens=32)))]
    assert [one.ids for one in drawn(vllm, requests)] == [one.ids for one in drawn(vllm, requests)]


def test_first_token_probabilities_are_those_of_transformers(both: tuple[Engine, Engine]) -> None:
    vllm, hf = both
    texts = [f"{i} + 3 =" for i in range(16)]
    requests = [GenerationRequest(text, Sampling(0.0, max_new_tokens=4), question=True) for text in texts]
    found, wanted = (one.first_token_probabilities(requests, [("1", "2")] * 16) for one in (vllm, hf))
    for a, b in zip(found, wanted, strict=True):
        assert dict(a.probabilities) == pytest.approx(
            {word: b.probabilities[word] for word in a.probabilities}, abs=1e-3
        )


def test_tokens_per_second_beside_the_transformers_engine_are_recorded(
    both: tuple[Engine, Engine], figures: Figures
) -> None:
    vllm, hf = both
    requests = requests_of(vllm, Sampling(1.0, max_new_tokens=96, min_new_tokens=96))
    speeds = []
    for engine in (vllm, hf):
        drawn(engine, requests)
        count = sum(len(one.ids) for one in drawn(engine, requests))
        speeds.append(count / seconds(lambda engine=engine: drawn(engine, requests)))  # type: ignore[misc]
    about = f"{speeds[0]:,.0f} against {speeds[1]:,.0f} tokens/s, lab model in fp32, 64 rows, eager"
    figures.add("vLLM", "tokens/s over the transformers engine's", speeds[0] / speeds[1], "times", about)
