"""The entropy pass against the plain forward pass of the same model: time ratio, and peak memory against full logits.

    python tests/benchmarks/entropy_pass.py                        # lengths 2k and 8k
    python tests/benchmarks/entropy_pass.py 2048 8192 32768
    python tests/benchmarks/entropy_pass.py --hidden 128 32768     # for memory: the figures take most of the time

The model is a random one of two small layers with a real vocabulary (152,000 words), in float32 on CPU, so that the
vocabulary decides. `plain` computes the logits chunk by chunk as the pass does, and drops them: what cannot be avoided.
The ratio of times is of one process, both in turn, the median of three. Memory is the peak of the resident set of a
process of its own, model and libraries included. `naive` holds all logits and takes their log-softmax, as one writes it
first; it fails where they do not fit.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

VOCABULARY = 152_000
WAYS = ("plain", "pass", "naive")


def network(length: int, hidden: int) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=length,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config).eval()  # type: ignore[no-untyped-call]


def once(way: str, model: Any, ids: list[int]) -> float:
    """Seconds of one way."""
    import torch

    from lrmctl.engines.hf import token_statistics as module

    start = time.perf_counter()
    if way == "naive":
        with torch.inference_mode():
            tokens = torch.tensor([ids], device=model.device)
            log_p = torch.log_softmax(model(tokens).logits.float(), dim=-1)
            -(log_p.exp() * log_p).sum(-1)
    else:
        real = module.statistics_of_logits
        if way == "plain":
            module.statistics_of_logits = lambda logits, *_, **__: logits[..., :4].float().permute(2, 0, 1)
        list(module.token_statistics(model, [(ids[:1], ids[1:])], pad=0))
        module.statistics_of_logits = real
    return time.perf_counter() - start


def run(way: str, length: int, hidden: int) -> None:
    """One way on one sequence, or both in turn; prints seconds and peak memory, or the ratio."""
    import torch

    model = network(length, hidden)
    ids = torch.randint(0, VOCABULARY, (length,)).tolist()
    if way == "ratio":
        once("pass", model, ids[:256])
        pairs = [(once("plain", model, ids), once("pass", model, ids)) for _ in range(3)]
        print(json.dumps({"ratio": statistics.median(b / a for a, b in pairs)}))
        return
    seconds = once(way, model, ids)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": seconds, "mib": peak / 1024}))


def measured(way: str, length: int, hidden: int) -> dict[str, float] | None:
    """None if the process was killed, as for memory."""
    done = subprocess.run(
        [sys.executable, __file__, way, str(length), str(hidden)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return None
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    hidden, lengths = 1024, sys.argv[1:]
    if lengths[:1] == ["--hidden"]:
        hidden, lengths = int(lengths[1]), lengths[2:]
    for length in map(int, lengths or ("2048", "8192")):
        found = {way: measured(way, length, hidden) for way in WAYS}
        ratio = measured("ratio", length, hidden) or {}
        plain, exact, naive = (found[way] for way in WAYS)
        assert plain is not None
        assert exact is not None
        whole = f"{naive['seconds']:.1f} s, {naive['mib']:.0f} MiB" if naive else "failed"
        print(
            f"T = {length}: plain {plain['seconds']:.1f} s, {plain['mib']:.0f} MiB; pass {exact['seconds']:.1f} s,"
            f" {exact['mib']:.0f} MiB ({ratio.get('ratio', float('nan')):.2f} times); naive {whole}"
        )


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] in (*WAYS, "ratio"):
        run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
