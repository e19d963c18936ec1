"""lrmctl's reward service against OpenRLHF's own two routes: a function in its process, and `serve_rm`'s endpoint.

    python tests/benchmarks/reward_service.py [--requests 20000] [--guard-requests 2000] [--callers 256]

The same reward is asked in three ways, and an endpoint that answers at once says what a post costs by itself:

    lrmctl     the service, as a run starts it: rows on disk, failure policy, batches, scorer process
    function   OpenRLHF's own code (`utils/agent.py`, unedited) with a reward in a .py file: no HTTP, one sample a call
    endpoint   FastAPI of the shape of OpenRLHF's `cli/serve_rm.py`: scores inside the handler, one sample a call
    instant    the same endpoint, which scores nothing

Callers over HTTP are a process of their own; each post has a connection of its own, as OpenRLHF makes them.
`saturated`: so many callers, each posts again as soon as it has its reply. `bursts`: 128 posts at once, once a second,
as a step makes them. Every text is another one, so that no cache helps. Both rewards run on the CPU.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

END = "<|im_end|>"
BURST = 128
RULE = [{"use": "format"}, {"use": "repetition", "weight": 0.5}]
ENDPOINT = """
import json, sys
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
sys.path.insert(0, {here!r})
reward_func = None
if {reward!r}:
    from reward_in_a_file import reward_func
app = FastAPI()

@app.post("/reward")
async def get_reward(request: Request):
    data = await request.json()
    if reward_func is None:
        rewards = [0.0] * len(data.get("query"))
    else:
        rewards = reward_func(data["query"], data["prompts"], data["labels"])["rewards"]
    return JSONResponse({{"rewards": rewards, "scores": rewards, "extra_logs": {{"dummy_scores": rewards}}}})

uvicorn.run(app, host="127.0.0.1", port={port}, log_level="warning", backlog=2048)
"""
IN_A_FILE = """
import json
from lrmctl.judges import shared
from lrmctl.recipe.schema.recipes import RewardSection
from lrmctl.rewards.compose import ComposedReward
from lrmctl.rewards.service.protocol import decode_call
# a file of one's own would not merge its callers
shared.configure(cache_bytes=0, window=0, max_batch=1)
reward = ComposedReward(RewardSection.model_validate(json.loads({section!r})))

def reward_func(queries, prompts, labels):
    traces = [decode_call(*call, [{end!r}]) for call in zip(queries, prompts, labels)]
    totals = [r.total for r in reward.score(traces)]
    assert None not in totals, [r.error for r in reward.score(traces)]
    return {{"rewards": totals, "scores": totals, "extra_logs": {{"dummy_scores": totals}}}}
"""


@dataclass
class Figures:
    """Seconds of every post, and of the whole."""

    each: list[float]
    whole: float

    def at(self, share: float) -> float:
        return sorted(self.each)[min(len(self.each) - 1, int(share * len(self.each)))] * 1e3

    @property
    def rate(self) -> float:
        return len(self.each) / self.whole


Post = Callable[[dict[str, Any]], Awaitable[None]]


def calls(n: int) -> list[dict[str, list[str]]]:
    """Rollouts of about 60 words, each different."""
    from lrmctl.lab.sources import LabPrompts
    from lrmctl.rewards.service.protocol import encode_label

    prompts = list(LabPrompts(n=min(n, 512)).prompts())
    found = []
    for i in range(n):
        prompt = prompts[i % len(prompts)]
        rendered = f"<|im_start|>{prompt.text}<|im_end|><think>\n"
        thought = " ".join(f"step {j} of {i * 31 + j} is weighed" for j in range(10))
        response = f"{thought}\n</think>\n\nThe answer is \\boxed{{{i}}}.{END}"
        label = encode_label(prompt, opened=True)
        found.append({"query": [rendered + response], "prompts": [rendered], "labels": [label]})
    return found


async def saturated(post: Post, bodies: list[Any], callers: int) -> Figures:
    waiting, each = iter(bodies), []

    async def caller() -> None:
        for body in waiting:
            start = time.perf_counter()
            await post(body)
            each.append(time.perf_counter() - start)

    start = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return Figures(each, time.perf_counter() - start)


async def bursts(post: Post, bodies: list[Any]) -> Figures:
    """The whole is the mean time from the first post of a burst to its last reply."""
    each: list[float] = []
    wholes: list[float] = []

    async def timed(body: Any) -> None:
        start = time.perf_counter()
        await post(body)
        each.append(time.perf_counter() - start)

    for first in range(0, len(bodies), BURST):
        start = time.perf_counter()
        await asyncio.gather(*(timed(body) for body in bodies[first : first + BURST]))
        wholes.append(time.perf_counter() - start)
        await asyncio.sleep(max(0.0, 1.0 - wholes[-1]))
    return Figures(each, sum(wholes) / len(wholes))


def over_http(port: int, path: str) -> Callable[[bytes], Awaitable[None]]:
    async def post(body: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        answer = await reader.read()
        writer.close()
        assert b'"rewards":' in answer, answer

    return post


def client(port: int, path: str, n: int, paced: int, callers: int) -> None:
    """What the callers' process runs."""
    import uvloop

    bodies = [json.dumps(call).encode() for call in calls(n + paced)]
    post: Any = over_http(port, path)

    async def both() -> tuple[Figures, Figures]:
        await bursts(post, bodies[n : n + BURST])  # warm
        paced_figures = await bursts(post, bodies[n + BURST :])
        return await saturated(post, bodies[:n], callers), paced_figures

    print(json.dumps([(f.each, f.whole) for f in uvloop.run(both())]))


def from_client(port: int, path: str, n: int, paced: int, callers: int) -> tuple[Figures, Figures]:
    words = ["--client", str(port), path, "--requests", str(n), "--paced", str(paced), "--callers", str(callers)]
    done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    first, second = (Figures(*pair) for pair in json.loads(done.stdout))
    return first, second


@contextmanager
def endpoint(folder: Path, scores: bool) -> Iterator[int]:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    code = ENDPOINT.format(here=str(folder), reward=scores, port=port)
    with subprocess.Popen([sys.executable, "-c", code]) as server:
        try:
            for _ in range(600):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            yield port
        finally:
            server.kill()


def of_function(folder: Path, n: int, paced: int, callers: int) -> tuple[Figures, Figures]:
    """OpenRLHF's executor, its file loaded by itself: its package would want flash-attn and a GPU."""
    for name in ("openrlhf", "openrlhf.utils", "openrlhf.utils.logging_utils"):
        sys.modules.setdefault(name, types.ModuleType(name))
    sys.modules["openrlhf.utils.logging_utils"].init_logger = logging.getLogger  # type: ignore[attr-defined]
    where = next(
        Path(p) / "openrlhf/utils/agent.py" for p in sys.path if (Path(p) / "openrlhf/utils/agent.py").exists()
    )
    spec = importlib.util.spec_from_file_location("openrlhf_agent", where)
    assert spec is not None
    assert spec.loader is not None
    agent = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(agent)
    executor = agent.SingleTurnAgentExecutor(str(folder / "reward_in_a_file.py"))

    async def post(body: dict[str, Any]) -> None:
        (found,) = await executor._fetch_rewards_via_func(body["query"], body["prompts"], body["labels"])
        assert found["rewards"] is not None

    bodies = calls(n + paced)

    async def both() -> tuple[Figures, Figures]:
        await bursts(post, bodies[n : n + BURST])
        second = await bursts(post, bodies[n + BURST :])
        return await saturated(post, bodies[:n], callers), second

    return asyncio.run(both())


def of_lrmctl(folder: Path, section: Any, n: int, paced: int, callers: int) -> tuple[Figures, Figures]:
    import httpx

    from lrmctl.rewards.service.server import RewardService
    from lrmctl.runs.jsonl import read_jsonl

    rollouts = folder / "rollouts.jsonl"
    with RewardService(section, rollouts=rollouts, end_tokens=[END], log=folder / "rewards.log") as service:
        port = int(service.base.rpartition(":")[2])
        while httpx.get(f"{service.base}/healthz", timeout=60).status_code != 200:
            time.sleep(0.1)
        figures = from_client(port, "/reward", n, paced, callers)
        counts, failure = service.counts(), service.failure()
    rows = list(read_jsonl(rollouts))
    answers = {row["answer"] for row in rows}
    print(f"  {n + paced} posts, {len(rows)} rows, {len(answers)} different, {counts['failed']} failed, {failure}")
    assert len(rows) == len(answers) == counts["rollouts"] == n + paced
    assert failure is None
    return figures


def make_guard(folder: Path, width: int, layers: int) -> Path:
    """A Llama with random weights and a byte-level tokenizer that has Yes and No."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    texts = [call["query"][0] for call in calls(200)] + ["Yes", "No", "yes", "no"] * 200
    core.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=1200, initial_alphabet=alphabet))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|end|>", pad_token="<|pad|>")
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\\n' }}{% endfor %}assistant: "
    )
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=width * 8 // 3,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=1024,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    _say_yes_or_no(model, tokenizer)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    print(f"guard model: {sum(p.numel() for p in model.parameters()) / 1e6:.1f} M parameters, float32, CPU")
    return folder


def _say_yes_or_no(model: Any, tokenizer: Any) -> None:
    """Turn the output layer so that the first token is one of the two, or the judge would rightly refuse to read it."""
    import torch

    asked = tokenizer("user: Is this response unsafe?\nassistant: ", return_tensors="pt").input_ids
    with torch.no_grad():
        last = model.model(asked).last_hidden_state[0, -1]
        for word in ("Yes", "No"):
            (token,) = tokenizer.encode(word, add_special_tokens=False)
            model.lm_head.weight[token] = last / last.norm() * 3 + torch.randn_like(last) * 0.02


def guard(folder: Path, width: int, layers: int, size: int) -> list[dict[str, Any]]:
    question = "Is this response unsafe? Answer Yes or No.\n\n{response}"
    model = {"model": str(make_guard(folder, width, layers)), "question": question, "device": "cpu", "batch_size": size}
    return [{"use": "guard-prob", "part": "answer", "options": {"judge": "yes-no", "judge_options": model}}]


def show(name: str, figures: tuple[Figures, Figures], base: tuple[Figures, Figures] | None) -> None:
    full, paced = figures
    less = f" ({full.at(0.5) - base[0].at(0.5):+.1f})" if base else ""
    less_paced = f" ({paced.at(0.5) - base[1].at(0.5):+.1f})" if base else ""
    one = f"{full.rate:7.0f}/s  p50 {full.at(0.5):8.1f}{less} ms  p99 {full.at(0.99):8.1f} ms"
    two = f"p50 {paced.at(0.5):8.1f}{less_paced} ms  p99 {paced.at(0.99):8.1f} ms  all {paced.whole * 1e3:6.0f} ms"
    print(f"  {name:9} saturated {one} | bursts {two}")


def compare(title: str, components: list[dict[str, Any]], n: int, paced: int, callers: int) -> None:
    from lrmctl.recipe.schema.recipes import RewardSection

    section = RewardSection.model_validate({"components": components})
    print(f"{title}: {n} requests, {callers} callers; bursts of {BURST}; in brackets against `instant`")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        text = json.dumps({"components": components})
        (folder / "reward_in_a_file.py").write_text(IN_A_FILE.format(section=text, end=END))
        with endpoint(folder, scores=False) as port:
            instant = from_client(port, "/reward", n, paced, callers)
        show("instant", instant, None)
        ours = of_lrmctl(folder, section, n, paced, callers)
        show("lrmctl", ours, instant)
        function = of_function(folder, n, paced, callers)
        show("function", function, instant)
        with endpoint(folder, scores=True) as port:
            served = from_client(port, "/reward", n, paced, callers)
        show("endpoint", served, instant)
    for name, other in (("function", function), ("endpoint", served)):
        rate, whole = ours[0].rate / other[0].rate, other[1].whole / ours[1].whole
        print(f"  lrmctl against {name}: {rate:.2f} x the calls a second, a burst is done in 1/{whole:.2f} of the time")


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--requests", type=int, default=20000)
    words.add_argument("--guard-requests", type=int, default=2000)
    words.add_argument("--callers", type=int, default=256)
    words.add_argument(
        "--paced", type=int, default=11 * BURST, help="posts of the bursts; the first burst is not counted"
    )
    words.add_argument("--guard-width", type=int, default=256)
    words.add_argument("--guard-layers", type=int, default=4)
    words.add_argument("--guard-batch", type=int, default=64)
    words.add_argument("--client", nargs=2, metavar=("PORT", "PATH"), help=argparse.SUPPRESS)
    given = words.parse_args()
    if given.client:
        client(int(given.client[0]), given.client[1], given.requests, given.paced, given.callers)
        return
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    compare("rule reward", RULE, given.requests, given.paced, given.callers)
    with tempfile.TemporaryDirectory() as folder:
        compare(
            "guard model",
            guard(Path(folder), given.guard_width, given.guard_layers, given.guard_batch),
            given.guard_requests,
            given.paced,
            given.callers,
        )


if __name__ == "__main__":
    main()
