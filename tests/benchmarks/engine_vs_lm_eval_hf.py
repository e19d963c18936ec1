"""Our engine against `lm_eval --model hf`: the lab's arithmetic, the same checkpoint, prompts, sampling and threads.

    python tests/benchmarks/engine_vs_lm_eval_hf.py [--prompts 256] [--samples 4] [--turns 3] [--parts generation ...]

generation: both in this process, weights loaded; ours also writes its store. process: from the start of Python to the
scores, as users run them; ours once more with everything stored. ragged: rows that join against batches that are
sampled to their end, with lengths spread as those of reasoning models (log-normal). Runs alternate; medians.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

NEW_TOKENS = 110


def main() -> None:
    options = _options()
    print("load average", os.getloadavg())
    for part in options.parts:
        seconds = PARTS[part](options)
        medians = {name: statistics.median(values) for name, values in seconds.items()}
        for name, value in medians.items():
            each = ", ".join(f"{one:.2f}" for one in seconds[name])
            print(f"{part:10} {name:22} {value:7.2f} s  ({each})")
        ours, theirs = list(medians.values())[:2]
        print(f"{part:10} ratio {theirs / ours:.2f}x, load average {os.getloadavg()}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in {"prompts": 256, "samples": 4, "batch-size": 128, "threads": 1, "turns": 3}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    return parser.parse_args()


def _timed(runs: dict[str, Callable[[], Any]], turns: int, warm_up: bool = True) -> dict[str, list[float]]:
    """Seconds of each turn of each, by turns; the first turn may be one that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(turns + warm_up):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            if turn >= warm_up:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def _generation(options: argparse.Namespace) -> dict[str, list[float]]:
    import torch
    from lm_eval.models.huggingface import HFLM

    from lrmctl.engines.base import GenerationRequest, Sampling
    from lrmctl.engines.hf.engine import HfEngine
    from lrmctl.engines.store import Store, complete
    from lrmctl.lab import base_path
    from lrmctl.models import load_model

    torch.set_num_threads(options.threads)
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    engine = HfEngine(base_path(), batch_size=options.batch_size, device="cpu")
    model = load_model(base_path())
    hflm = HFLM(pretrained=model, tokenizer=engine.tokenizer, batch_size=options.batch_size)
    texts = [engine.render(prompt) for prompt in _prompts(options)]
    asked = [
        GenerationRequest(t, Sampling(max_new_tokens=NEW_TOKENS), i) for t in texts for i in range(options.samples)
    ]
    how = {"until": [], "max_gen_toks": NEW_TOKENS, "do_sample": True, "temperature": 1.0, "top_p": 1.0, "top_k": 0}

    def ours() -> None:
        with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "c.sqlite") as store:
            complete(engine, store, asked)

    def theirs() -> None:
        hflm.generate_until([SimpleNamespace(args=(r.text, dict(how))) for r in asked], disable_tqdm=True)

    return _timed({"ours": ours, "lm_eval hf": theirs}, options.turns)


def _process(options: argparse.Namespace) -> dict[str, list[float]]:
    from lrmctl.lab import base_path

    with tempfile.TemporaryDirectory() as folder:
        _write_task(Path(folder), options)
        gen = f"do_sample=True,temperature=1.0,top_p=1.0,top_k=0,max_gen_toks={NEW_TOKENS}"
        theirs = [sys.executable, "-m", "lm_eval", "--model", "hf"]
        theirs += ["--model_args", f"pretrained={base_path()},dtype=float32", "--tasks", "arithmetic_of_the_lab"]
        theirs += ["--include_path", folder, "--apply_chat_template", "--device", "cpu", "--gen_kwargs", gen]
        theirs += ["--batch_size", str(options.batch_size)]
        store = Path(folder) / "c.sqlite"
        size = [str(options.prompts), str(options.samples), str(options.batch_size), str(store)]
        ours = [sys.executable, "-c", OURS, *size]

        def fresh() -> None:
            store.unlink(missing_ok=True)
            _called(ours)

        runs = {"ours": fresh, "lm_eval hf": lambda: _called(theirs), "ours, all stored": lambda: _called(ours)}
        return _timed(runs, options.turns, warm_up=False)


OURS = """
import sys
from pathlib import Path
from lrmctl.engines.base import Sampling
from lrmctl.engines.hf.engine import HfEngine
from lrmctl.engines.store import Store
from lrmctl.lab import base_path
from lrmctl.reasoning.lm_eval.run import run_tasks
from lrmctl.reasoning.tasks import reasoning_task

prompts, samples, size, path = *map(int, sys.argv[1:4]), Path(sys.argv[4])
task = reasoning_task("lab_arithmetic", {"n": prompts})
with Store(path) as store:
    engine = HfEngine(base_path(), batch_size=size, device="cpu")
    run_tasks(engine, store, [task], [Sampling(max_new_tokens=110)], samples, 0)
"""


def _called(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)


def _write_task(folder: Path, options: argparse.Namespace) -> None:
    """The lab's arithmetic as a task of lm-eval's own form."""
    rows = [{"question": prompt.text, "answer": prompt.reference or ""} for prompt in _prompts(options)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = {
        "task": "arithmetic_of_the_lab",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(folder / "rows.jsonl")}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "{{question}}",
        "doc_to_target": "{{answer}}",
        "generation_kwargs": {"until": []},
        "repeats": options.samples,
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    }
    (folder / "arithmetic.yaml").write_text(json.dumps(task))  # JSON is YAML


def _ragged(options: argparse.Namespace) -> dict[str, list[float]]:
    import torch

    from lrmctl.engines.base import Sampling
    from lrmctl.engines.hf.batch_sampler import sample
    from lrmctl.engines.hf.scheduler import ContinuousBatcher, RunningCompletion
    from lrmctl.lab import base_path
    from lrmctl.models import load_model, load_tokenizer

    torch.set_num_threads(options.threads)
    model, tokenizer = load_model(base_path()), load_tokenizer(base_path())
    luck = random.Random(0)
    prompts = [tokenizer(p.text, add_special_tokens=False)["input_ids"] for p in _prompts(options)]
    limits = [min(400, max(4, int(luck.lognormvariate(3.5, 1.0)))) for _ in prompts]
    ways = [Sampling(max_new_tokens=n) for n in limits]
    nothing = {-1}  # lengths are those of the limits

    def rows() -> list[RunningCompletion]:
        each = zip(prompts, ways, limits, strict=True)
        return [RunningCompletion(i, prompt, how, i, n) for i, (prompt, how, n) in enumerate(each)]

    def joining() -> None:
        for _ in ContinuousBatcher(model, size=options.batch_size // 4, eos=nothing, pad=0).run(rows()):
            pass

    def fixed() -> None:
        size = options.batch_size // 4
        for at in range(0, len(prompts), size):
            some, how = prompts[at : at + size], ways[at : at + size]
            sample(model, some, how, eos=nothing, pad=0, max_len=512, seeds=list(range(len(some))))

    return _timed({"rows join": joining, "batches": fixed}, options.turns)


def _prompts(options: argparse.Namespace) -> Any:
    from lrmctl.reasoning.tasks import reasoning_task

    return reasoning_task("lab_arithmetic", {"n": options.prompts}).load(None)


PARTS = {"generation": _generation, "process": _process, "ragged": _ragged}


if __name__ == "__main__":
    main()
