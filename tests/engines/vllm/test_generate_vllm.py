"""vLLM in process behind the engines' protocol: what transformers says, seeds that hold, failures as data."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lrmctl.engines.base import Completion, Engine, GenerationRequest, Sampling
from lrmctl.engines.factory import make_engine
from lrmctl.engines.store import Store, complete
from lrmctl.errors import LrmctlError
from lrmctl.recipe.schema.engines import HfOptions, VllmOptions
from lrmctl.types import Prompt

HAVE_VLLM = importlib.util.find_spec("vllm") is not None
WARM = Sampling(1.0, max_new_tokens=48)
GREEDY = Sampling(0.0, max_new_tokens=96)


@pytest.mark.skipif(HAVE_VLLM, reason="vLLM is installed")
def test_without_vllm_the_error_says_what_else_there_is_and_names_no_judge(checkpoint: Path) -> None:
    engine = make_engine(checkpoint, VllmOptions())
    with pytest.raises(LrmctlError, match="engine openai") as caught:
        list(engine.generate([GenerationRequest("hi", WARM)]))
    assert "judge" not in str(caught.value)


def test_identity_is_of_weights_precision_and_options_and_nothing_is_loaded_for_it(checkpoint: Path) -> None:
    plain, half = VllmOptions(), VllmOptions(dtype="bfloat16")
    quantized = VllmOptions(options={"quantization": "fp8"})
    engines = [make_engine(checkpoint, options) for options in (plain, half, quantized)]
    assert len({engine.identity for engine in engines}) == 3
    assert all(str(checkpoint) not in engine.identity for engine in engines)
    assert engines[0].identity == make_engine(checkpoint, plain, batch_size=3).identity


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Engine]]:
    """vLLM and transformers on the lab's model, its heads widened to what vLLM's kernels on a CPU take."""
    from lrmctl.lab import base_path
    from lrmctl.lab.widen import widen

    folder = tmp_path_factory.mktemp("wide") / "model"
    widen(base_path(), folder, 32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")  # GiB, where it is the build for CPUs
        options = VllmOptions(dtype="float32", options={"enforce_eager": True})
        engine: Any = make_engine(folder, options, batch_size=16)
        yield engine, make_engine(folder, HfOptions(dtype="float32", device="cpu"), batch_size=16)
        engine.release()


PROMPTS = [Prompt.user(f"p{i}", f"{i + 2} + {i * 3} =", "reasoning") for i in range(24)]


def asked(engine: Engine, sampling: Sampling, samples: int = 1) -> list[GenerationRequest]:
    first = [engine.request(prompt, sampling, 0, 3) for prompt in PROMPTS]
    return [replace(one, sample=i) for one in first for i in range(samples)]


def drawn(engine: Engine, requests: Sequence[GenerationRequest]) -> list[Completion]:
    found = [one for batch in engine.generate(requests) for one in batch]
    assert sorted(i for i, _ in found) == list(range(len(requests)))  # every request exactly once
    return [completion for _, completion in sorted(found)]


needs_vllm = pytest.mark.skipif(not HAVE_VLLM, reason="needs vLLM")


@pytest.mark.slow
@needs_vllm
def test_greedy_completions_and_their_traces_are_those_of_transformers(both: tuple[Engine, Engine]) -> None:
    vllm, hf = both
    requests = asked(vllm, GREEDY)
    found, wanted = drawn(vllm, requests), drawn(hf, requests)
    assert [c.finish_reason for c in found] == [c.finish_reason for c in wanted]
    assert [c.ids for c in found] == [c.ids for c in wanted]
    for prompt, request, one, other in zip(PROMPTS, requests, found, wanted, strict=True):
        assert vllm.trace(prompt, request, one) == hf.trace(prompt, request, other)
    assert "stop" in {c.finish_reason for c in found}


@pytest.mark.slow
@needs_vllm
def test_samples_differ_and_repeat_with_their_seed_whatever_is_beside_them(both: tuple[Engine, Engine]) -> None:
    vllm, _ = both
    requests = asked(vllm, WARM, samples=4)
    first = drawn(vllm, requests)
    assert drawn(vllm, requests) == first
    assert drawn(vllm, requests[::-3]) == first[::-3]
    texts = [{c.ids for c in first[start : start + 4]} for start in range(0, len(first), 4)]
    assert sum(len(some) > 1 for some in texts) > len(texts) / 2
    other = drawn(vllm, [replace(r, seed=4) for r in requests])
    assert sum(a.ids != b.ids for a, b in zip(first, other, strict=True)) > len(first) / 2


@pytest.mark.slow
@needs_vllm
def test_stops_cut_the_answer_and_thinking_can_be_ended(both: tuple[Engine, Engine]) -> None:
    vllm, hf = both
    for sampling in (replace(GREEDY, stop=("\\boxed",)), replace(GREEDY, end_thinking=True)):
        requests = asked(vllm, sampling)
        found, wanted = drawn(vllm, requests), drawn(hf, requests)
        assert [(c.text, c.ids, c.finish_reason) for c in found] == [(c.text, c.ids, c.finish_reason) for c in wanted]
    assert all(c.text.endswith("</think>") for c in found if c.finish_reason == "stop")


@pytest.mark.slow
@needs_vllm
def test_a_prompt_that_does_not_fit_is_an_error_and_the_others_go_on(both: tuple[Engine, Engine]) -> None:
    vllm, _ = both
    fine = asked(vllm, GREEDY)[0]
    long = replace(fine, text=fine.text * 500)
    odd = replace(fine, ids=(10_000_000,), sample=1)
    completions = drawn(vllm, [long, fine, odd, replace(fine, text="", sample=2)])
    assert [c.finish_reason == "error" for c in completions] == [True, False, True, True]
    assert "room for" in completions[0].error
    assert "does not know" in completions[2].error


@pytest.mark.slow
@needs_vllm
def test_leaving_early_leaves_nothing_running_and_the_store_has_what_came(
    both: tuple[Engine, Engine], tmp_path: Path
) -> None:
    vllm, _ = both
    requests = asked(vllm, WARM, samples=8)
    some = next(batch := vllm.generate(requests))
    batch.close()  # type: ignore[attr-defined]
    assert 0 < len(some) < len(requests)
    with Store(tmp_path / "c.sqlite") as store:
        complete(vllm, store, requests)
        assert len(store) == len(requests)
