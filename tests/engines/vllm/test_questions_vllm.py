"""vLLM in process. With vLLM installed: the same answers as transformers; without it: one clear error."""

from __future__ import annotations

import importlib.util
import math
import os
from pathlib import Path

import pytest

from lrmctl.engines.factory import judge_engine
from lrmctl.engines.hf.engine import HfEngine
from lrmctl.engines.vllm.engine import probabilities
from lrmctl.errors import LrmctlError, RecipeError
from lrmctl.judges.query import JudgeQuery, ask

HAVE_VLLM = importlib.util.find_spec("vllm") is not None
WORDS = ("safe", "unsafe")


@pytest.mark.skipif(HAVE_VLLM, reason="vLLM is installed")
def test_without_vllm_the_error_says_what_else_there_is(checkpoint: Path) -> None:
    with pytest.raises(LrmctlError, match="engine openai"):
        ask(judge_engine(str(checkpoint), "vllm"), [JudgeQuery(text="one")])


def test_one_gpu_by_name_is_refused_when_the_recipe_is_read(checkpoint: Path) -> None:
    with pytest.raises(RecipeError, match="CUDA_VISIBLE_DEVICES"):
        judge_engine(str(checkpoint), "vllm", device="cuda:1")


def test_probabilities_of_a_choice_are_summed_over_its_first_tokens() -> None:
    starts = (frozenset({3, 4}), frozenset({5}))
    found = probabilities(WORDS, starts, {3: math.log(0.5), 4: math.log(0.25), 9: math.log(0.1)})
    assert found == pytest.approx({"safe": 0.75})


def wider(checkpoint: Path, folder: Path) -> Path:
    """The tokenizer of a checkpoint with a model of heads that vLLM has kernels for."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    sizes = {"hidden_size": 128, "intermediate_size": 64, "num_hidden_layers": 2, "initializer_range": 0.2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 96}
    ids = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id, "bos_token_id": None}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **sizes, **heads, **ids)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.slow
@pytest.mark.skipif(not HAVE_VLLM, reason="needs vLLM")
def test_vllm_answers_as_transformers_do(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(wider(checkpoint, tmp_path))
    monkeypatch.setitem(os.environ, "VLLM_CPU_KVCACHE_SPACE", "1")  # GiB, where it is the build for CPUs
    options = {"use": "vllm", "dtype": "float32", "options": {"enforce_eager": True}}
    asks = [
        JudgeQuery(messages=({"role": "user", "content": "one"},), max_new_tokens=6),
        JudgeQuery(messages=({"role": "user", "content": "two"},), prefill="Safety: ", choices=WORDS),
        JudgeQuery(text="three: ", max_new_tokens=3),
        JudgeQuery(text="x" * 200, max_new_tokens=3),
    ]
    found, wanted = ask(judge_engine(folder, options), asks), ask(HfEngine(folder), asks)
    assert [(r.text, r.error) for r in found] == [(r.text, r.error) for r in wanted]
    assert dict(found[1].probabilities) == pytest.approx(dict(wanted[1].probabilities), rel=1e-2)
