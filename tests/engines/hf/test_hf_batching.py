"""The batch that is kept full: rows join and leave, memory runs out, and nobody's completion changes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from lrmctl.engines.base import Completion, GenerationRequest, Sampling
from lrmctl.engines.hf.batch_sampler import sample
from lrmctl.engines.hf.engine import HfEngine
from lrmctl.engines.hf.kv_cache import joinable
from lrmctl.engines.hf.memory import rows_that_fit
from lrmctl.engines.hf.scheduler import ContinuousBatcher, RunningCompletion

EOS, PAD, VOCAB = 1, 0, 120
SIZES = {"vocab_size": VOCAB, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
PROMPTS = [[3 + (7 * i + j) % 100 for j in range(2 + 5 * i % 23)] for i in range(30)]
WAYS = [
    Sampling(max_new_tokens=70),
    Sampling(0.0, max_new_tokens=9),
    Sampling(0.8, top_p=0.9, top_k=40, max_new_tokens=130, min_new_tokens=3),
    Sampling(1.2, max_new_tokens=2),
]


def made(name: str, config: str, **more: Any) -> Any:
    import torch
    import transformers

    torch.manual_seed(0)
    model = getattr(transformers, name)(getattr(transformers, config)(**SIZES, **more))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(4)
    return model.eval()


@pytest.fixture(scope="module")
def llama() -> Any:
    return made("LlamaForCausalLM", "LlamaConfig", intermediate_size=64, num_key_value_heads=2)


def windowed() -> Any:
    more = {"intermediate_size": 64, "num_key_value_heads": 2, "sliding_window": 8}
    return made("MistralForCausalLM", "MistralConfig", **more)


def rows(count: int = len(PROMPTS)) -> list[RunningCompletion]:
    ways = [WAYS[i % len(WAYS)] for i in range(count)]
    return [RunningCompletion(i, PROMPTS[i], how, 100 + i, how.max_new_tokens) for i, how in enumerate(ways)]


def expected(model: Any, wanted: Sequence[RunningCompletion]) -> list[tuple[list[int], str]]:
    """What each row draws alone, by the plain sampler."""
    found = []
    for row in wanted:
        one = sample(model, [row.prompt], [row.sampling], eos={EOS}, pad=PAD, max_len=1000, seeds=[row.seed])[0]
        ids = list(one.ids)
        found.append((ids[:-1] if one.finish_reason == "stop" else ids, one.finish_reason))
    return found


def ran(loop: ContinuousBatcher, wanted: Sequence[RunningCompletion]) -> list[RunningCompletion]:
    ended = [row for some in loop.run(wanted) for row in some]
    assert sorted(row.index for row in ended) == sorted(row.index for row in wanted)
    return sorted(ended, key=lambda row: row.index)


@pytest.mark.e2e
@pytest.mark.parametrize("size", [1, 3, 8, 30])
def test_rows_that_join_draw_what_they_draw_alone(llama: Any, size: int) -> None:
    ended = ran(ContinuousBatcher(llama, size=size, eos={EOS}, pad=PAD), rows())
    assert [(row.ids, row.finish_reason) for row in ended] == expected(llama, rows())
    assert len({len(row.ids) for row in ended}) > 5  # ragged


@pytest.mark.e2e
@pytest.mark.parametrize(
    "model", [windowed, lambda: made("BloomForCausalLM", "BloomConfig")], ids=["sliding window", "no position ids"]
)
def test_models_whose_rows_cannot_join_are_sampled_in_batches(model: Callable[[], Any]) -> None:
    model = model()
    assert not joinable(model, PAD)
    ended = ran(ContinuousBatcher(model, size=8, eos={EOS}, pad=PAD), rows())
    assert [(row.ids, row.finish_reason) for row in ended] == expected(model, rows())


def test_a_short_row_is_handed_over_while_a_long_one_runs_and_another_joins(llama: Any) -> None:
    long, *short = (
        RunningCompletion(i, PROMPTS[i], Sampling(max_new_tokens=n), i, n) for i, n in enumerate([60, 3, 3, 3])
    )
    steps = list(ContinuousBatcher(llama, size=2, eos={VOCAB}, pad=PAD).run([long, *short]))
    when = {row.index: i for i, some in enumerate(steps) for row in some}
    assert when[1] < when[2] < when[3] < when[0]
    assert len(steps) <= 60 + 3  # a pass over each row that joined, no step for each alone


@pytest.mark.e2e
def test_heads_in_groups_attend_as_transformers_does() -> None:
    """The same weights, with windows and without: a step's logits, and what is drawn."""
    from lrmctl.engines.hf.attention import group_heads

    for make in (
        lambda: made("LlamaForCausalLM", "LlamaConfig", intermediate_size=64, num_key_value_heads=2),
        windowed,
        lambda: made("Qwen3ForCausalLM", "Qwen3Config", intermediate_size=64, num_key_value_heads=2, head_dim=16),
    ):
        plain, grouped = make(), make()
        group_heads(grouped)
        assert plain.config._attn_implementation == "sdpa" != grouped.config._attn_implementation
        found = [ran(ContinuousBatcher(model, size=8, eos={EOS}, pad=PAD), rows()) for model in (plain, grouped)]
        assert [row.ids for row in found[0]] == [row.ids for row in found[1]]
        difference = stepped(plain) - stepped(grouped)
        assert float(difference.abs().max()) < 1e-4


def stepped(model: Any) -> Any:
    """Logits of one token after a cached prompt of two rows, one padded."""
    import torch

    with torch.inference_mode():
        mask = torch.tensor([[1] * 12, [0] * 5 + [1] * 7])
        out = model(torch.arange(24).reshape(2, 12) + 3, attention_mask=mask, use_cache=True)
        mask = torch.nn.functional.pad(mask, (0, 1), value=1)
        return model(torch.tensor([[5], [6]]), attention_mask=mask, past_key_values=out.past_key_values).logits


def test_samples_of_one_prompt_are_read_once(llama: Any) -> None:
    read: list[int] = []
    with_hook = llama.register_forward_pre_hook(
        lambda _module, _args, given: read.append(given["input_ids"].numel()), with_kwargs=True
    )
    prompt = list(range(3, 43))
    loop = ContinuousBatcher(llama, size=8, eos={VOCAB}, pad=PAD)
    ended = ran(loop, [RunningCompletion(i, prompt, Sampling(max_new_tokens=1), i, 1) for i in range(8)])
    with_hook.remove()
    assert sum(read) == 1 + 40  # the question whether rows can join, and the prompt
    assert len({tuple(row.ids) for row in ended}) > 1


def test_broken_weights_are_an_error_and_not_a_completion() -> None:
    import torch

    broken = made("LlamaForCausalLM", "LlamaConfig", intermediate_size=64)
    with torch.no_grad():
        broken.lm_head.weight.fill_(float("nan"))
    with pytest.raises(ArithmeticError, match="not numbers"):
        ran(ContinuousBatcher(broken, size=4, eos={EOS}, pad=PAD), rows(4))


@pytest.mark.e2e
def test_out_of_memory_halves_the_batch_and_loses_nothing(llama: Any) -> None:
    """torch raises its own error above five rows, at the first pass and again in the middle."""
    import torch

    passes = 0

    def short(_module: Any, _args: Any, given: Any) -> None:
        nonlocal passes
        passes += 1
        if len(given["input_ids"]) > (5 if passes < 20 else 2):
            raise torch.OutOfMemoryError("CUDA out of memory.")

    hook = llama.register_forward_pre_hook(short, with_kwargs=True)
    loop = ContinuousBatcher(llama, size=16, eos={EOS}, pad=PAD)
    with pytest.warns(UserWarning, match="out of memory with 16 completions side by side: going on with 8"):
        ended = ran(loop, rows())
    hook.remove()
    assert loop.size == 2
    assert [(row.ids, row.finish_reason) for row in ended] == expected(llama, rows())


@pytest.mark.e2e
def test_a_row_that_does_not_fit_alone_is_a_failure_and_the_others_go_on(llama: Any) -> None:
    import torch

    def short(_module: Any, _args: Any, given: Any) -> None:
        if given["input_ids"].numel() > 20:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    def wanted() -> list[RunningCompletion]:
        how = Sampling(max_new_tokens=3)
        return [RunningCompletion(i, PROMPTS[0] * n, how, i, 3) for i, n in enumerate([1, 12, 2, 3, 11, 4])]

    hook = llama.register_forward_pre_hook(short, with_kwargs=True)
    with pytest.warns(UserWarning, match="going on with 1"):
        ended = ran(ContinuousBatcher(llama, size=4, eos={EOS}, pad=PAD), wanted())
    hook.remove()
    alone = expected(llama, wanted())
    for row, one in zip(ended, alone, strict=True):
        if len(row.prompt) > 20:
            assert (row.finish_reason, row.error) == ("error", f"out of memory at {len(row.prompt)} tokens, alone")
        else:
            assert (row.ids, row.finish_reason) == one


LIMITED = """
import resource, warnings

import psutil
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from lrmctl.engines.base import Sampling
from lrmctl.engines.hf.scheduler import ContinuousBatcher, RunningCompletion

torch.set_num_threads(1)
sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "head_dim": 64, "intermediate_size": 32}
model = LlamaForCausalLM(LlamaConfig(vocab_size=100, **sizes)).eval()  # 4 KB of cache per token
how = Sampling(max_new_tokens=6)


def sampled(count, size):
    loop = ContinuousBatcher(model, size=size, eos=[0], pad=0)
    rows = [RunningCompletion(i, [3 + i % 90, *range(3, 63)], how, i, 6) for i in range(count)]
    return [row for some in loop.run(rows) for row in some], loop.size


sampled(2, 2)
alone = sampled(40, 40)[0]
limit = psutil.Process().memory_info().vms + 100_000_000
resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    done, size = sampled(512, 512)
found = {row.index: row.ids for row in done}
assert len(done) == 512 and {row.finish_reason for row in done} <= {"stop", "length"}, done
assert all(found[row.index] == row.ids for row in alone)
print(size, "|", *(str(w.message) for w in said if "out of memory" in str(w.message)), sep="|")
"""


@pytest.mark.e2e
def test_a_real_limit_of_memory_halves_the_batch() -> None:
    """The operating system refuses the memory; torch's CPU allocator says so."""
    found = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, timeout=300, check=False)
    assert found.returncode == 0, found.stderr
    size, *said = [part for part in found.stdout.strip().split("|") if part.strip()]
    assert 1 < int(size) < 512
    assert said[0] == "out of memory with 512 completions side by side: going on with 256"


def test_batch_size_goes_by_free_memory(llama: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from lrmctl.engines.hf import memory

    per_token = 2 * 2 * 2 * 8 * 4  # keys and values, layers, heads, D, bytes
    assert memory.cache_bytes(llama) == per_token
    assert 1 < rows_that_fit(llama, 100) <= 512
    monkeypatch.setattr(memory, "free_bytes", lambda _device: 20 * (per_token * 1000 + 8 * 4 * VOCAB) / 0.6 + 1)
    assert rows_that_fit(llama, 1000) == 20
    assert rows_that_fit(llama, 10_000_000) == 1


def test_facts_tell_the_batch_size_that_was_used(checkpoint: Path) -> None:
    engine = HfEngine(checkpoint)
    assert engine.facts()["batch_size"] == "auto"
    found: list[Completion] = []
    for batch in engine.generate([GenerationRequest("hi", WAYS[0], i) for i in range(5)]):
        found += [completion for _, completion in batch]
    assert len(found) == 5
    assert engine.facts()["batch_size"] == 5
    assert HfEngine(checkpoint, batch_size=3).facts()["batch_size"] == 3


def test_known_tokens_of_a_prompt_are_gone_on_from(checkpoint: Path) -> None:
    engine = HfEngine(checkpoint)
    ids = tuple(engine.tokenizer("hello", add_special_tokens=False)["input_ids"])
    requests = [
        GenerationRequest("hello", WAYS[0]),
        GenerationRequest("hello", WAYS[0], ids=ids),
        GenerationRequest("hello", WAYS[0], ids=ids[:-1]),
    ]
    found = {i: c for batch in engine.generate(requests) for i, c in batch}
    assert found[0] == found[1] != found[2]


def test_a_prompt_without_tokens_fails_alone(checkpoint: Path) -> None:
    requests = [GenerationRequest("", WAYS[0]), GenerationRequest("one", WAYS[0])]
    found = dict(one for some in HfEngine(checkpoint).generate(requests) for one in some)
    assert (found[0].error, found[1].error) == ("the prompt is empty", "")
