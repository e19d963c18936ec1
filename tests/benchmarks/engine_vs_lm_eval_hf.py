"""One lm-eval run of the lab's arithmetic through our engine and through lm-eval's own `hf` model; prints the ratio.

    python tests/benchmarks/engine_vs_lm_eval_hf.py [--prompts 64] [--samples 4] [--batch-size 128] [--threads 1]

The same checkpoint, prompts, sampling, batch size, threads and process; runs alternate. Imports and loading of
weights are not counted. Ours also writes its store and splits thinking from answer.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any


def main() -> None:
    options = _options()
    import torch

    from lrmctl.engines.hf import HfEngine
    from lrmctl.lab import base_path

    torch.set_num_threads(options.threads)
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    engine = HfEngine(base_path(), batch_size=options.batch_size, device="cpu")
    theirs = _theirs(engine, options.batch_size)
    seconds: dict[str, list[float]] = {"ours": [], "lm_eval hf": []}
    for turn in range(options.turns + 1):  # the first turn warms up and is not counted
        with tempfile.TemporaryDirectory() as folder:
            for name, took in (
                ("ours", _run_ours(engine, Path(folder), options)),
                ("lm_eval hf", _run(theirs, options)),
            ):
                if turn:
                    seconds[name].append(took)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    rows = options.prompts * options.samples
    for name, value in medians.items():
        print(f"{name:12} {value:6.2f} s  {rows / value:7.0f} completions/s")
    print(f"ratio {medians['lm_eval hf'] / medians['ours']:.2f}x (median of {options.turns}, {rows} completions)")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in {"prompts": 64, "samples": 4, "batch-size": 128, "threads": 1, "turns": 3}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser.parse_args()


def _theirs(engine: Any, batch_size: int) -> Any:
    from lm_eval.models.huggingface import HFLM

    return HFLM(pretrained=engine.model, tokenizer=engine.tokenizer, batch_size=batch_size)


def _run_ours(engine: Any, folder: Path, options: argparse.Namespace) -> float:
    from lrmctl.engines.store import Store
    from lrmctl.reasoning.lmeval import _make_lm

    with Store(folder / "completions.sqlite") as store:
        return _run(_make_lm(engine, store, 0, None), options)


def _run(lm: Any, options: argparse.Namespace) -> float:
    """Seconds of one lm-eval run that counts characters."""
    import lm_eval
    from lm_eval.tasks import TaskManager

    from lrmctl.engines.base import Sampling
    from lrmctl.reasoning.lmeval import _config
    from lrmctl.reasoning.tasks import reasoning_task

    task = reasoning_task("lab_arithmetic")
    config = _config("lab", task, Sampling(1.0, max_new_tokens=110), options.samples, options.prompts)
    config["process_results"] = lambda _doc, results: {"length": sum(map(len, results[0]))}
    config["metric_list"] = [{"metric": "length", "aggregation": "mean", "higher_is_better": False}]
    tasks = TaskManager(include_defaults=False).load([config])
    started = time.perf_counter()
    lm_eval.evaluate(lm=lm, task_dict=tasks, apply_chat_template=True, bootstrap_iters=0)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
