"""The entropy pass on CUDA: the CPU's figures, memory that does not grow with length x vocabulary, and its time."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from gpu_figures import Figures, peak_bytes, seconds
from gpu_models import config_of, network

from lrmctl.engines.hf.token_statistics import token_statistics
from lrmctl.engines.probabilities import TokenStatistics

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import entropy_pass

VOCABULARY = entropy_pass.VOCABULARY
TOLERANCE = 5e-4
"""Nats, between fp32 on CPU and on CUDA; for varentropy nats squared."""
MIB = 1024**2
FIXED = 2560 * MIB
"""Most that a pass may take beyond three copies of its cache: a fixed number of logits with what is computed from
them, the activations of one chunk, and the libraries' workspaces."""


def read(model: Any, pairs: Any, **how: Any) -> list[TokenStatistics]:
    found = {i: one for some in token_statistics(model, pairs, pad=0, **how) for i, one in some}
    return [found[i] for i in range(len(pairs))]


def test_figures_are_the_cpu_s_in_fp32() -> None:
    import numpy as np
    import torch

    config = config_of(size="tiny", vocab=VOCABULARY)
    pairs = [(torch.arange(1, 1 + n).tolist(), torch.randint(1, VOCABULARY, (n * 7,)).tolist()) for n in (3, 20, 41)]
    found = {}
    for device in ("cpu", "cuda"):
        model, base = (network(config, seed=seed).to(device) for seed in (0, 1))
        found[device] = read(model, pairs, base=base)
    for cpu, cuda in zip(found["cpu"], found["cuda"], strict=True):
        for name in TokenStatistics._fields:
            wanted = getattr(cpu, name)
            assert getattr(cuda, name).dtype == np.float32
            np.testing.assert_allclose(getattr(cuda, name), wanted, atol=TOLERANCE, rtol=TOLERANCE, err_msg=name)


def test_bf16_has_entropies_close_to_fp32_s(figures: Figures) -> None:
    import numpy as np
    import torch

    model = network(config_of(size="small", vocab=VOCABULARY), device="cuda")
    ids = torch.randint(1, VOCABULARY, (1024,)).tolist()
    exact = read(model, [(ids[:1], ids[1:])])[0].entropy
    rounded = read(model.to(torch.bfloat16), [(ids[:1], ids[1:])])[0].entropy
    assert np.isfinite(rounded).all()
    away = float(np.abs(rounded - exact).mean())
    figures.add("entropy", "mean distance of a token's entropy, bf16 to fp32", away, "nats", f"mean {exact.mean():.3g}")


@pytest.mark.parametrize("length", [2048, 8192, 32768])
def test_memory_does_not_grow_with_length_times_vocabulary(length: int, figures: Figures) -> None:
    import torch

    from lrmctl.engines.hf.memory import cache_bytes

    config = config_of(size="half", vocab=VOCABULARY, num_hidden_layers=8, max_position_embeddings=length)
    model = network(config, device="cuda", dtype="bfloat16")
    ids = torch.randint(1, VOCABULARY, (length,)).tolist()
    weights = torch.cuda.memory_allocated()
    peak = peak_bytes(lambda: entropy_pass.once("pass", model, ids)) - weights
    figures.add("entropy", f"peak beyond the weights, T = {length:,}", peak / MIB, "MiB", "V = 152,000, bf16")
    try:
        whole = peak_bytes(lambda: entropy_pass.once("naive", model, ids)) - weights
        figures.add("entropy", f"all logits at once, T = {length:,}", whole / MIB, "MiB", "log-softmax in fp32")
    except torch.OutOfMemoryError:
        whole = 0
        figures.add("entropy", f"all logits at once, T = {length:,}", "out of memory")
    assert peak < 3 * cache_bytes(model) * length + FIXED
    assert not whole or length == 2048 or peak < whole / 2


def test_times_beside_the_plain_forward_pass_are_recorded(figures: Figures) -> None:
    import torch

    length = 8192
    config = config_of(size="half", vocab=VOCABULARY, max_position_embeddings=length)
    model = network(config, device="cuda", dtype="bfloat16")
    ids = torch.randint(1, VOCABULARY, (length,)).tolist()
    entropy_pass.once("pass", model, ids[:512])
    entropy_pass.once("plain", model, ids[:512])

    def one_pass() -> None:
        with torch.inference_mode():
            model(torch.tensor([ids], device="cuda"), logits_to_keep=1, use_cache=False)

    one_pass()
    works = {
        "pass": lambda: entropy_pass.once("pass", model, ids),
        "plain": lambda: entropy_pass.once("plain", model, ids),
        "one": one_pass,
        **{f"2^{n}": _with_budget(model, ids, 1 << n) for n in (24, 28)},
    }
    found = {name: min(seconds(work) for _ in range(3)) for name, work in works.items()}
    about = f"T = {length:,}, V = 152,000, 0.6 B in bf16, best of three; {found['pass']:.2f} s"
    figures.add("entropy", "time over the same chunks without figures", found["pass"] / found["plain"], "times", about)
    figures.add("entropy", "time over one forward pass without logits", found["pass"] / found["one"], "times", about)
    for n in (24, 28):
        ratio = found[f"2^{n}"] / found["pass"]
        figures.add("entropy", f"time with 2^{n} logits at once", ratio, "times", "over the default")


def _with_budget(model: Any, ids: list[int], budget: int) -> Any:
    return lambda: list(token_statistics(model, [(ids[:1], ids[1:])], pad=0, logits_budget=budget))


def _traces(count: int) -> Any:
    from lrmctl.analysis.generated import EncodedTrace, EncodedTraces
    from lrmctl.runs.eval_rows import EvalRow
    from lrmctl.types import Prompt, Trace

    texts = [f"Wait, {i}." * (1 + i % 5) for i in range(count)]
    rows = [
        EvalRow("m", 0.6, Trace(Prompt.user(f"p{i}", f"{i}?", "reasoning"), text, "4", "closed", thinking_tokens=9))
        for i, text in enumerate(texts)
    ]
    encoded = [EncodedTrace([5, 6, 7], [1 + ord(c) % 90 for c in text], True) for text in texts]
    return EncodedTraces("rendered", rows, encoded)


def _read_by(devices: list[str], model: Path, base: Path, folder: Path) -> Any:
    from lrmctl.analysis.token_pass import read_traces
    from lrmctl.engines.hf.engine import HfEngine

    engines, bases = ([HfEngine(of, device=each, dtype="float32") for each in devices] for of in (model, base))
    found = read_traces(engines, bases, _traces(300), folder, top_k=20)
    return found, [str(one.model.device) for one in engines]


@pytest.mark.parametrize("workers", ["two on one GPU", "one per GPU"])
def test_several_workers_find_what_one_does(workers: str, tmp_path: Path, figures: Figures) -> None:
    import numpy as np
    import torch
    from gpu_models import saved

    from lrmctl.analysis.token_pass import devices_of

    config = config_of(size="tiny", vocab=97)
    model, base = saved(tmp_path / "model", config), saved(tmp_path / "base", config, seed=1)
    devices = devices_of("cuda") if workers == "one per GPU" else ["cuda:0", "cuda:0"]
    assert len(devices_of("auto")) == torch.cuda.device_count()
    if len(devices) < 2:
        pytest.skip("this machine has one GPU")
    alone, _ = _read_by(["cpu"], model, base, tmp_path / "alone")
    found, used = _read_by(devices, model, base, tmp_path / "several")
    assert used == devices
    for one, other in zip(found, alone, strict=True):
        assert (one.key, one.name) == (other.key, other.name)
        np.testing.assert_allclose(one.entropy, other.entropy, atol=1e-3)
        np.testing.assert_allclose(one.kl, other.kl, atol=1e-3)
    figures.add("entropy", f"workers that found what the CPU does, {workers}", len(devices))
