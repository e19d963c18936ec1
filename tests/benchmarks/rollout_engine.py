"""Our token loop against transformers' `generate`, same model, same batch, one thread, one run.

    python tests/benchmarks/rollout_engine.py [--model FOLDER] [--batch 128] [--repeats 7]

Both draw at temperature 1 from the same prompts, in turn, `repeats` times; rows end by themselves or after
`--new-tokens`. Prints tokens per second of each (medians) and their ratio: medians of tokens per second, so that the
two need not draw the same texts. A warm-up of each is left out.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any


def main() -> None:
    options = parse()
    import torch

    torch.set_num_threads(options.threads)
    model, tokenizer, prompts = load(options)
    runners = {
        "sampler": ours(model, tokenizer, prompts, options),
        "generate": theirs(model, tokenizer, prompts, options),
    }
    speeds: dict[str, list[float]] = {name: [] for name in runners}
    for repeat in range(options.repeats + 1):
        for name, runner in runners.items():
            started = time.perf_counter()
            tokens = runner(repeat)
            if repeat:  # the first is the warm-up
                speeds[name].append(tokens / (time.perf_counter() - started))
    report(speeds, options)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", help="HF checkpoint folder; the shipped tiny LRM by default")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--new-tokens", type=int, default=110)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def load(options: argparse.Namespace) -> tuple[Any, Any, list[list[int]]]:
    from lrmctl.data.render import encode_prompt
    from lrmctl.lab import arithmetic, base_path
    from lrmctl.models import load_model, load_tokenizer

    folder = options.model or base_path()
    tokenizer = load_tokenizer(folder)
    prompts = [encode_prompt(tokenizer, prompt) for prompt in arithmetic.prompts("heldout", options.batch, 0)]
    return load_model(folder).eval(), tokenizer, prompts


def ours(model: Any, tokenizer: Any, prompts: list[list[int]], options: argparse.Namespace) -> Callable[[int], int]:
    from lrmctl.engines.base import Sampling
    from lrmctl.engines.hf.batch_sampler import sample

    def run(repeat: int) -> int:
        seeds = range(repeat * len(prompts), (repeat + 1) * len(prompts))
        params = [Sampling(max_new_tokens=options.new_tokens)] * len(prompts)
        end, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
        rows = sample(model, prompts, params, eos={end}, pad=pad, max_len=512, seeds=seeds)
        return sum(len(row.ids) for row in rows)

    return run


def theirs(model: Any, tokenizer: Any, prompts: list[list[int]], options: argparse.Namespace) -> Callable[[int], int]:
    import torch

    batch = tokenizer.pad({"input_ids": prompts}, padding_side="left", return_tensors="pt")
    end, pad = tokenizer.eos_token_id, tokenizer.pad_token_id

    def run(repeat: int) -> int:
        torch.manual_seed(repeat)
        with torch.inference_mode():
            out = model.generate(
                **batch,
                do_sample=True,
                temperature=1.0,
                top_k=0,
                max_new_tokens=options.new_tokens,
                eos_token_id=end,
                pad_token_id=pad,
            )
        new = out[:, batch["input_ids"].shape[1] :]
        ended = (new == end).int().cumsum(1)
        return int((ended.sub((new == end).int()) == 0).sum())  # up to and with the first end-of-text token

    return run


def report(speeds: dict[str, list[float]], options: argparse.Namespace) -> None:
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    print(f"batch {options.batch}, {options.threads} thread(s), median of {options.repeats} interleaved repeats")
    for name, values in speeds.items():
        print(f"{name:9s} {medians[name]:9.0f} tokens/s  ({min(values):.0f} to {max(values):.0f})")
    print(f"ratio     {medians['sampler'] / medians['generate']:9.2f}x")


if __name__ == "__main__":
    main()
