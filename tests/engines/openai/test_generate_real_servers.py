"""Completions from servers that others wrote: vLLM's own and `transformers serve`, on the lab's model."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from chat_server import free_port

from lrmctl.engines.base import Completion, Engine, GenerationRequest, Sampling
from lrmctl.engines.factory import make_engine
from lrmctl.recipe.schema.decoding import Budget
from lrmctl.recipe.schema.engines import HfOptions, OpenAiOptions
from lrmctl.types import Prompt

WARM = Sampling(1.0, max_new_tokens=96)
GREEDY = Sampling(0.0, max_new_tokens=96)
PROMPTS = [Prompt.user(f"p{i}", f"{i + 2} + {i * 3} =", "reasoning") for i in range(12)]
HAVE_VLLM = importlib.util.find_spec("vllm") is not None
SERVE = Path(sys.executable).parent / "transformers"
CAN_SERVE = SERVE.exists() and all(importlib.util.find_spec(name) for name in ("openai", "accelerate"))


@contextmanager
def running(argv: Sequence[str], port: int, log: Path) -> Iterator[str]:
    with log.open("wb") as out:
        env = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"}
        process = subprocess.Popen(list(argv), stdout=out, stderr=subprocess.STDOUT, env=env)
    url = f"http://127.0.0.1:{port}/v1"
    try:
        for _ in range(300):
            assert process.poll() is None, log.read_text()[-2000:]
            try:
                if httpx.get(f"http://127.0.0.1:{port}/health", timeout=2).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(1)
        yield url
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lab's model, its heads widened to what vLLM's kernels on a CPU take."""
    from lrmctl.lab import base_path
    from lrmctl.lab.widen import widen

    made = tmp_path_factory.mktemp("wide") / "model"
    widen(base_path(), made, 32)
    return made


@pytest.fixture(scope="module")
def vllm_url(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    argv = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder)]
    argv += ["--port", str(port), "--host", "127.0.0.1", "--dtype", "float32", "--enforce-eager"]
    argv += ["--served-model-name", "lrm", "--max-num-seqs", "16", "--generation-config", "vllm"]
    with running(argv, port, tmp_path_factory.mktemp("log") / "vllm.log") as url:
        yield url


def asked(engine: Engine, sampling: Sampling, samples: int = 1) -> list[GenerationRequest]:
    first = [engine.request(prompt, sampling, 0, 3) for prompt in PROMPTS]
    return [replace(one, sample=i) for one in first for i in range(samples)]


def drawn(engine: Engine, requests: Sequence[GenerationRequest]) -> list[Completion]:
    found = [one for batch in engine.generate(requests) for one in batch]
    assert sorted(i for i, _ in found) == list(range(len(requests)))
    return [completion for _, completion in sorted(found, key=lambda one: one[0])]


needs_vllm = pytest.mark.skipif(not HAVE_VLLM, reason="needs vLLM")


@pytest.mark.slow
@needs_vllm
@pytest.mark.parametrize("api", ["chat", "completions"])
def test_vllms_server_gives_the_greedy_traces_of_transformers_and_honours_seeds(
    vllm_url: str, folder: Path, api: str
) -> None:
    engine = make_engine("lrm", OpenAiOptions(base_url=vllm_url, api=api, tokenizer=str(folder)))
    hf = make_engine(folder, HfOptions(dtype="float32", device="cpu"), batch_size=8)
    ours, theirs = asked(engine, GREEDY), asked(hf, GREEDY)
    for prompt, *row in zip(PROMPTS, ours, drawn(engine, ours), theirs, drawn(hf, theirs), strict=True):
        found, wanted = engine.trace(prompt, row[0], row[1]), hf.trace(prompt, row[2], row[3])
        assert (found.thinking, found.answer, found.thinking_state) == (
            wanted.thinking,
            wanted.answer,
            wanted.thinking_state,
        )
        assert (found.finish_reason, found.irregular) == (wanted.finish_reason, wanted.irregular)
    requests = asked(engine, WARM, samples=3)
    first = drawn(engine, requests)
    assert [c.text for c in drawn(engine, requests)] == [c.text for c in first]
    assert len({c.text for c in first}) > len(first) / 2


@pytest.mark.slow
@needs_vllm
def test_a_thinking_budget_is_kept_through_vllms_server(vllm_url: str, folder: Path) -> None:
    options = OpenAiOptions(base_url=vllm_url, api="completions", tokenizer=str(folder))
    engine = make_engine("lrm", options, decoding=Budget(tokens=12))
    requests = asked(engine, GREEDY)
    traces = [
        engine.trace(prompt, request, completion)
        for prompt, request, completion in zip(PROMPTS, requests, drawn(engine, requests), strict=True)
    ]
    assert {t.thinking_state for t in traces} == {"closed"}
    assert all(t.thinking_tokens <= 12 for t in traces)


@pytest.mark.slow
@pytest.mark.skipif(not CAN_SERVE, reason="needs transformers[serving]")
def test_transformers_serve_answers_and_is_told_to_ignore_temperature_and_seed(tmp_path: Path) -> None:
    from lrmctl.lab import base_path

    model, port = str(base_path()), free_port()
    argv = [str(SERVE), "serve", "--port", str(port), "--host", "127.0.0.1", "--device", "cpu", model]
    with running(argv, port, tmp_path / "serve.log") as url:
        engine = make_engine(model, OpenAiOptions(base_url=url, tokenizer=model, concurrency=2))
        requests = asked(engine, WARM, samples=2)
        with pytest.warns(RuntimeWarning, match="ignore temperature or seed"):
            completions = drawn(engine, requests)
    traces = [engine.trace(PROMPTS[0], r, c) for r, c in zip(requests, completions, strict=True)]
    assert {t.finish_reason for t in traces} <= {"stop", "length"}
    assert any(t.thinking_state == "closed" and t.answer and t.thinking_tokens for t in traces)
