"""The stand-in for vLLM, as OpenRLHF uses it: concurrent requests, weight updates, errors."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lrmctl.backends.openrlhf.cpu.engine import AsyncEngineArgs, AsyncLLMEngine, SamplingParams


class Extension:
    """What OpenRLHF mixes into the worker, with the one method that it calls."""

    model_runner: Any

    def update_weight(self, weights: dict[str, Any]) -> None:
        self.version += 1
        self.model_runner.model.load_weights(list(weights.items()))


@pytest.fixture
def engine(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncLLMEngine:
    monkeypatch.setenv("LRMCTL_OPENRLHF_DTYPE", "fp32")
    return start(checkpoint)


def start(checkpoint: Path, seed: int = 3) -> AsyncLLMEngine:
    return AsyncLLMEngine.from_engine_args(
        AsyncEngineArgs(
            model=str(checkpoint),
            dtype="bfloat16",
            seed=seed,
            max_model_len=64,
            worker_extension_cls=f"{Extension.__module__}.{Extension.__qualname__}",
        )
    )


def params(**changed: Any) -> SamplingParams:
    return SamplingParams(**{"max_tokens": 12, "logprobs": 1, **changed})


async def ask(engine: AsyncLLMEngine, prompt: list[int], sampling: SamplingParams) -> Any:
    outputs = [out.outputs[0] async for out in engine.generate({"prompt_token_ids": prompt}, sampling, "id")]
    assert len(outputs) == 1
    return outputs[0]


async def together(*asked: Coroutine[Any, Any, Any]) -> list[Any]:
    return await asyncio.gather(*asked, return_exceptions=True)


def ask_all(engine: AsyncLLMEngine, prompts: list[list[int]], sampling: SamplingParams) -> list[Any]:
    return asyncio.run(together(*(ask(engine, p, sampling) for p in prompts)))


def weights_of(model: Any) -> dict[str, Any]:
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def test_samples_of_one_prompt_differ_and_two_engines_agree(engine: AsyncLLMEngine, checkpoint: Path) -> None:
    asked = [[5, 6, 7]] * 4 + [[9, 9]] * 2
    first = [out.token_ids for out in ask_all(engine, asked, params())]
    assert len({tuple(ids) for ids in first[:4]}) == 4
    other = start(checkpoint)
    assert [out.token_ids for out in ask_all(other, asked, params())] == first
    assert [out.token_ids for out in ask_all(start(checkpoint, seed=4), asked, params())] != first


def test_draws_do_not_depend_on_how_requests_were_batched(engine: AsyncLLMEngine, checkpoint: Path) -> None:
    asked = [[5, 6, 7], [8], [5, 6, 7], [9, 9]]
    at_once = [out.token_ids for out in ask_all(engine, asked, params())]
    other = start(checkpoint)
    one_by_one = [ask_all(other, [prompt], params())[0].token_ids for prompt in asked]
    assert at_once == one_by_one


def test_announced_requests_make_one_batch(engine: AsyncLLMEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    run = engine._run
    monkeypatch.setattr(engine, "_run", lambda batch: sizes.append(len(batch)) or run(batch))

    async def slowly() -> None:
        with SamplingParams.expecting(3):
            sampling = params()
        tasks = []
        for prompt in ([5], [6], [7]):
            tasks.append(asyncio.create_task(ask(engine, prompt, sampling)))
            await asyncio.sleep(0.1)  # longer than what counts as quiet
        await asyncio.gather(*tasks)
        await ask(engine, [8], sampling)  # a later turn of an agent: not announced, not waited for

    asyncio.run(slowly())
    assert sizes == [3, 1]


def test_a_weight_update_changes_what_is_drawn(engine: AsyncLLMEngine, checkpoint: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    asked, greedy = [[5, 6, 7], [8, 9]], params(temperature=0.0)
    before = [out.token_ids for out in ask_all(engine, asked, greedy)]
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
    with torch.no_grad():
        model.model.embed_tokens.weight.copy_(model.model.embed_tokens.weight.roll(1, 0))
    asyncio.run(engine.collective_rpc("update_weight", args=(weights_of(model),)))
    after = [out.token_ids for out in ask_all(engine, asked, greedy)]
    assert after != before
    for prompt, ids in zip(asked, after, strict=True):
        expected = model.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=12)
        assert ids == expected[0, len(prompt) :].tolist()


def test_the_same_prompt_draws_anew_after_an_update(engine: AsyncLLMEngine, checkpoint: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    first = ask_all(engine, [[5, 6]], params())[0].token_ids
    same = weights_of(AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32))
    asyncio.run(engine.collective_rpc("update_weight", args=(same,)))
    assert ask_all(engine, [[5, 6]], params())[0].token_ids != first


def test_weights_of_another_dtype_are_refused(engine: AsyncLLMEngine) -> None:
    import torch

    name = "model.norm.weight"
    with pytest.raises(ValueError, match=r"model\.norm\.weight comes as torch\.bfloat16"):
        asyncio.run(engine.collective_rpc("update_weight", args=({name: torch.ones(64, dtype=torch.bfloat16)},)))


def test_a_bad_request_fails_alone(engine: AsyncLLMEngine) -> None:
    async def asked() -> list[Any]:
        return await together(
            ask(engine, [5], params()),
            ask(engine, [5], params(temperature=-1.0)),
            ask(engine, [5] * 64, params()),
            ask(engine, [5, 100_000], params()),
            ask(engine, [], params()),
        )

    good, *bad = asyncio.run(asked())
    assert len(good.token_ids) >= 1
    words = ["temperature", "no room", "vocabulary", "without tokens"]
    for error, word in zip(bad, words, strict=True):
        assert isinstance(error, ValueError)
        assert word in str(error)


def test_an_engine_error_reaches_every_caller_and_the_engine_lives_on(engine: AsyncLLMEngine) -> None:
    """Weights that are not numbers make the whole batch fail; good ones heal it."""
    import torch

    good = weights_of(engine._worker._model)
    bad = {"model.norm.weight": torch.full((64,), float("nan"))}
    asyncio.run(engine.collective_rpc("update_weight", args=(bad,)))
    failed = ask_all(engine, [[5], [6]], params())
    assert [type(error) for error in failed] == [ArithmeticError] * 2
    assert engine.output_processor.get_num_unfinished_requests() == 0
    asyncio.run(engine.collective_rpc("update_weight", args=(good,)))
    assert len(ask_all(engine, [[5]], params())[0].token_ids) >= 1


def test_the_output_has_what_openrlhf_reads(engine: AsyncLLMEngine) -> None:
    out = ask_all(engine, [[5, 6]], params(max_tokens=4, skip_special_tokens=False))[0]
    assert isinstance(out.token_ids, list)
    assert out.finish_reason in ("stop", "length")
    assert len(out.logprobs) == len(out.token_ids)
    assert all(entry[token].logprob <= 0 for entry, token in zip(out.logprobs, out.token_ids, strict=True))
    assert isinstance(out.text, str)
    assert ask_all(engine, [[5, 6]], params(logprobs=None))[0].logprobs is None
    assert asyncio.run(engine.is_sleeping()) is False


def test_unknown_sampling_parameters_are_not_ignored() -> None:
    with pytest.raises(TypeError, match="presence_penalty"):
        SamplingParams(presence_penalty=1.0)  # type: ignore[call-arg]


def test_expected_rows_are_announced_only_inside() -> None:
    with SamplingParams.expecting(8):
        inside = SamplingParams()
    assert inside.wave is not None
    assert inside.wave.rows == 8
    assert SamplingParams().wave is None
    assert SimpleNamespace(**vars(inside)).wave == inside.wave
