"""Pretrains the tiny LRM and writes its folder: weights, tokenizer, manifest.

Muon for the matrices, AdamW for the rest: at this size Muon reaches in minutes what AdamW alone does not. Single
threaded, so that a seed gives the same base on the same machine and versions.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from lrmctl._util.installed import versions_of
from lrmctl.errors import LrmctlError, RunExistsError
from lrmctl.lab.corpus import CorpusExample, examples

if TYPE_CHECKING:
    import torch
    from torch import Tensor

OnProgress = Callable[[int, int, str], None]
"""Called with steps done, total steps, and a short status text."""

STEPS, BATCH_SIZE, LEARNING_RATE, WARMUP = 800, 48, 5e-3, 40
POOL = 32  # number of batches drawn and sorted by length together
ARCHITECTURES = ("llama", "qwen3")
"""Model types of transformers that a base can have; the first is the shipped one's."""
MANIFEST = "manifest.json"

Pair = tuple[list[int], list[int]]  # token ids of a prompt and of its response


def make_base(
    out: Path,
    seed: int,
    on_progress: OnProgress | None = None,
    *,
    architecture: str = "llama",
    steps: int = STEPS,
    gate_prompts: int = 256,
) -> dict[str, Any]:
    """Pretrain a base model from scratch, save it in Hugging Face format, and check it with the gate.

    Args:
        out: folder to create; must be new or empty.
        architecture: of `ARCHITECTURES`.
        steps: fewer than the default give a worse model in less time.
        gate_prompts: prompts per set in the gate.

    Returns:
        The manifest, also in `out/manifest.json`; `manifest["gate"]["passed"]` says whether the base is accepted.

    Raises:
        RunExistsError: `out` is not empty.
        LrmctlError: pretraining diverged, or the saved tokenizer does not survive a reload.
    """
    from lrmctl.lab.gate import check_base
    from lrmctl.lab.tokenizer import build_tokenizer, verify_tokenizer
    from lrmctl.models import without_progress_bars

    out.mkdir(parents=True, exist_ok=True)  # fail before the work if the folder cannot be created
    if any(out.iterdir()):
        raise RunExistsError(f"{out} is not empty", fix="give a new folder, or remove this one")
    started = time.process_time()
    tokenizer = build_tokenizer()
    model = pretrain(tokenizer, seed, architecture=architecture, steps=steps, on_progress=on_progress)
    seconds = time.process_time() - started
    without_progress_bars()
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    verify_tokenizer(out)
    manifest = {
        "seed": seed,
        "command": f"lrmctl model tiny OUT --seed {seed}" + _said(architecture),
        "steps": steps,
        "parameters": sum(p.numel() for p in model.parameters()),
        "cpu_seconds": round(seconds, 1),
        "versions": versions_of("lrmctl", "torch", "transformers", "tokenizers"),
        "sha256": dict(sorted(digests(out).items())),
        "gate": check_base(out, n=gate_prompts).to_json(),
    }
    (out / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return manifest


def digests(path: Path) -> dict[str, str]:
    """sha256 of every file of a base except its manifest."""
    files = [f for f in path.iterdir() if f.is_file() and f.name != MANIFEST]
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def _said(architecture: str) -> str:
    return "" if architecture == ARCHITECTURES[0] else f" --architecture {architecture}"


def pretrain(
    tokenizer: Any,
    seed: int,
    *,
    architecture: str = "llama",
    steps: int = STEPS,
    on_progress: OnProgress | None = None,
) -> Any:
    """A small decoder trained on the responses of the seed's corpus, in eval mode."""
    import torch

    with _one_thread():
        model = _new_model(tokenizer, seed, architecture)
        optimizers = _optimizers(model)
        for step, batch in enumerate(islice(_batches(tokenizer, seed), steps)):
            rate = LEARNING_RATE * _schedule(step, steps)
            for group in (g for o in optimizers for g in o.param_groups):
                group["lr"] = rate
            loss = _loss(model, batch, tokenizer.pad_token_id)
            if not math.isfinite(loss.item()):
                raise LrmctlError(f"pretraining diverged at step {step + 1}", fix="give another --seed")
            model.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer in optimizers:
                optimizer.step()
            if on_progress:
                on_progress(step + 1, steps, f"loss {loss.item():.3f}")
    return model.eval()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Use one thread: more gain nothing at this size, and one is deterministic."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _new_model(tokenizer: Any, seed: int, architecture: str) -> Any:
    """The network with random weights: alike in size, different in normalisation of queries and keys (Qwen3)."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from lrmctl.lab.tokenizer import CONTEXT

    config = AutoConfig.for_model(
        architecture,
        vocab_size=math.ceil(len(tokenizer) / 8) * 8,
        hidden_size=64,
        intermediate_size=192,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.05,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: Any = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    return model.train()


def _optimizers(model: Any) -> list[torch.optim.Optimizer]:
    import torch

    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    taken = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in taken]
    return [
        torch.optim.Muon(matrices, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def _schedule(step: int, steps: int) -> float:
    """Learning rate factor: warm-up, constant until half of the steps, then linear decay to 0.02."""
    done = step / steps
    return min(1.0, (step + 1) / WARMUP) * (1.0 if done < 0.5 else max(0.02, 2 * (1 - done)))


def _batches(tokenizer: Any, seed: int) -> Iterator[list[Pair]]:
    """Batches of examples of similar length, in random order, infinite."""
    corpus, rng = examples(seed), Random(f"{seed}/batches")
    while True:
        pool = _encode(tokenizer, list(islice(corpus, BATCH_SIZE * POOL)))
        pool.sort(key=lambda pair: len(pair[0]) + len(pair[1]))
        batches = [pool[i : i + BATCH_SIZE] for i in range(0, len(pool), BATCH_SIZE)]
        rng.shuffle(batches)
        yield from batches


def _encode(tokenizer: Any, rows: list[CorpusExample]) -> list[Pair]:
    """Encode prompts and responses separately, as sampling does."""
    from lrmctl.data.render import render_prompt, render_response
    from lrmctl.types import Prompt

    prompts = [render_prompt(tokenizer, Prompt.user("", row.text, "reasoning")) for row in rows]
    responses = [render_response(tokenizer, row.thinking, row.answer, opened=True) for row in rows]
    ids = [tokenizer(texts, add_special_tokens=False)["input_ids"] for texts in (prompts, responses)]
    return list(zip(*ids, strict=True))


def _loss(model: Any, batch: list[Pair], pad: int) -> Tensor:
    """Mean cross-entropy in nats over the response tokens."""
    import torch

    width = max(len(prompt) + len(response) for prompt, response in batch)
    ids = torch.full((len(batch), width), pad)
    labels = torch.full((len(batch), width), -100)
    for i, (prompt, response) in enumerate(batch):
        end = len(prompt) + len(response)
        ids[i, :end] = torch.tensor(prompt + response)
        labels[i, len(prompt) : end] = torch.tensor(response)
    # padding is on the right, which causal attention of the real tokens never sees
    hidden, following = model.model(input_ids=ids).last_hidden_state[:, :-1], labels[:, 1:]
    counts = following != -100
    return torch.nn.functional.cross_entropy(model.lm_head(hidden[counts]), following[counts])
