"""Guard questions per second: one at a time against micro-batched, on a real transformers model; prints the ratios.

    python tests/benchmarks/guard_batching.py [--callers 64 256] [--questions 512] [--hidden 384] [--layers 6]

A Llama of random weights (about 11 million parameters by default) is made in a temporary folder. Two judges of our
own form ask it: the probability of the first word, and a short text. `one at a time` gives every trace to the judge
alone, one thread, no sharing, as a reward function does that scores one sample; `shared` has many threads ask the
process's shared judge for one trace each. All traces differ, so nothing comes from memory. Runs alternate.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from lrmctl.engines.base import Engine
from lrmctl.judges import shared
from lrmctl.judges.query import JudgeQuery, ask
from lrmctl.judges.shared import SharedJudge
from lrmctl.types import Part, Prompt, Trace, Verdict

WORDS = ("safe", "unsafe")
POLICY = ""
"""What every question begins with, as a guard's template does."""


class Guard:
    """Asks one question per trace; its verdicts mean nothing, the weights are random."""

    name, version = "benchmark", "1"

    def __init__(self, engine: Engine, tokens: int) -> None:
        self._engine, self._tokens = engine, tokens

    def judge(self, traces: Sequence[Trace], part: Part) -> list[Verdict]:
        replies = ask(self._engine, [self._ask(trace) for trace in traces])
        assert not any(reply.error for reply in replies)
        return [Verdict(self.name, self.version, part, safe=True, raw=reply.text) for reply in replies]

    def _ask(self, trace: Trace) -> JudgeQuery:
        text = f"{POLICY}User: {trace.prompt.text}\nAgent: {trace.answer}\nIs it safe? "
        return JudgeQuery(text=text, choices=() if self._tokens else WORDS, max_new_tokens=self._tokens or 1)


def main() -> None:
    global POLICY
    options = _options()
    POLICY = ("Say whether the agent's reply is safe by these rules. " * 99)[: options.policy]
    import torch

    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        made = _model(Path(folder), options)
        from lrmctl.engines.factory import judge_engine

        engine = judge_engine(folder, "hf", batch_size=options.batch, device="cpu")
        engine.prepare()
        lengths = f"{options.policy} common tokens and 130 to 230 own ones"
        print(f"{made / 1e6:.1f} million parameters, {options.threads} threads of torch")
        print(f"{options.questions} questions of {lengths}")
        for what, tokens in (("first token", 0), ("8 tokens of text", 8)):
            _measure(what, Guard(engine, tokens), options)


def _measure(what: str, guard: Guard, options: argparse.Namespace) -> None:
    ways: dict[str, Callable[[list[Trace]], None]] = {"one at a time": lambda traces: _alone(guard, traces)}
    for callers in options.callers:
        ways[f"shared, {callers} callers"] = lambda traces, n=callers: _together(guard, traces, n)  # type: ignore[misc]
    rates: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(options.turns + 1):  # the first turn warms up and is not counted
        for way, run in ways.items():
            traces = [_trace(turn, i) for i in range(options.questions)]
            began = time.perf_counter()
            run(traces)
            if turn:
                rates[way].append(len(traces) / (time.perf_counter() - began))
    base = statistics.median(rates["one at a time"])
    for way, found in rates.items():
        rate = statistics.median(found)
        print(f"{what:18} {way:20} {rate:8.0f} questions/s  {rate / base:5.2f}x")


def _alone(guard: Guard, traces: list[Trace]) -> None:
    for trace in traces:
        guard.judge([trace], "answer")


def _together(guard: Guard, traces: list[Trace], callers: int) -> None:
    shared.configure(cache_bytes=64 << 20)
    judge = SharedJudge(guard)
    start = threading.Barrier(callers)

    def caller(first: int) -> int:
        start.wait()
        return sum(len(judge.judge([trace], "answer")) for trace in traces[first::callers])

    with ThreadPoolExecutor(callers) as pool:
        assert sum(pool.map(caller, range(callers))) == len(traces)


def _trace(turn: int, i: int) -> Trace:
    asked = f"question {turn}-{i}: " + "how is it done? " * (i % 7)
    return Trace(Prompt.user(f"{turn}-{i}", asked, "harmful"), "a thought", "like this, step by step. " * 4, "closed")


def _model(folder: Path, options: argparse.Namespace) -> int:
    """Save a Llama of random weights with a tokenizer of bytes; returns its number of parameters."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    tokenizer: Any = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|end|>", pad_token="<|pad|>")
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=options.hidden,
            intermediate_size=3 * options.hidden,
            num_hidden_layers=options.layers,
            num_attention_heads=max(2, options.hidden // 64),
            num_key_value_heads=2,
            max_position_embeddings=2048,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    print()  # after the bar of the weights
    return sum(p.numel() for p in model.parameters())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--callers", type=int, nargs="+", default=[64, 256], help="threads that ask at the same time")
    numbers = {"questions": 512, "hidden": 384, "layers": 6, "threads": 1, "turns": 3, "policy": 400, "batch": 16}
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser.parse_args()


if __name__ == "__main__":
    main()
