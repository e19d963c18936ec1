"""What `lrmctl train` costs over the bare OpenRLHF command: whole processes, the same recipe, the same argv.

    python tests/benchmarks/overhead.py [--pairs 5] [--steps 12] [--recipe lab/rl]

The bare command is the plan's own, with its data written beforehand, started as a user would start it from a shell. In
RL its reward is a Python file given to OpenRLHF, with the same components; through lrmctl it is the reward service.
Pairs alternate in order. Printed: seconds of each, and the median ratio. Aim: at most 1.05.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from lrmctl.backends.launch.supervisor import TEMP
from lrmctl.recipe.load import LoadedRecipe, load_recipe
from lrmctl.training.plan import plan_training

REWARD = """
from lrmctl.recipe.load import load_recipe
from lrmctl.rewards.compose import ComposedReward
from lrmctl.rewards.service.protocol import decode_call

reward = ComposedReward(load_recipe({recipe!r}, {sets!r}).recipe.reward)

def reward_func(queries, prompts, labels):
    traces = [decode_call(q, p, l, ["<|im_end|>", "<|endoftext|>"]) for q, p, l in zip(queries, prompts, labels)]
    total = reward.score(traces)[0].total
    return {{"rewards": total, "scores": min(1.0, max(0.0, total)), "extra_logs": {{}}}}
"""


def bare(loaded: LoadedRecipe, recipe: str, sets: list[str]) -> float:
    """Seconds of OpenRLHF's own command."""
    folder = Path(tempfile.mkdtemp(prefix="bare"))
    plan = plan_training(loaded, runs_dir=folder).backend_plan
    run = folder / loaded.recipe.name
    for name, text in plan.files.items():
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text(text, encoding="utf-8")
    argv = list(plan.argv)
    if "--reward.remote_url" in argv:
        (folder / "reward.py").write_text(REWARD.format(recipe=recipe, sets=sets))
        argv[argv.index("--reward.remote_url") + 1] = str(folder / "reward.py")
    env = {**os.environ, **{k: v.replace(TEMP, str(folder)) for k, v in plan.env.items()}}
    began = time.monotonic()
    with (folder / "log").open("wb") as log:
        subprocess.run(argv, env=env, cwd=run, stdout=log, stderr=log, check=True)
    took = time.monotonic() - began
    shutil.rmtree(folder, ignore_errors=True)
    return took


def through_lrmctl(recipe: str, sets: list[str]) -> float:
    """Seconds of `lrmctl train`."""
    folder = tempfile.mkdtemp(prefix="lrmctl-bench")
    options = [word for text in sets for word in ("--set", text)]
    began = time.monotonic()
    command = [sys.executable, "-m", "lrmctl", "train", recipe, "--runs-dir", folder, *options]
    subprocess.run(command, check=True, capture_output=True)
    took = time.monotonic() - began
    shutil.rmtree(folder, ignore_errors=True)
    return took


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--recipe", default="lab/rl")
    asked = parser.parse_args()
    kind = load_recipe(asked.recipe).recipe.kind
    sets = [f"algorithm.steps={asked.steps}", "save_every=1000"] if kind == "rl" else ["train.epochs=1"]
    loaded = load_recipe(asked.recipe, sets)
    ratios = []
    for i in range(asked.pairs):
        if i % 2:
            ours, theirs = through_lrmctl(asked.recipe, sets), bare(loaded, asked.recipe, sets)
        else:
            theirs, ours = bare(loaded, asked.recipe, sets), through_lrmctl(asked.recipe, sets)
        ratios.append(ours / theirs)
        print(f"pair {i + 1}: lrmctl {ours:.1f} s, bare {theirs:.1f} s, ratio {ratios[-1]:.3f}", flush=True)
    print(f"{asked.recipe}: median ratio {median(ratios):.3f} of {asked.pairs} pairs")


if __name__ == "__main__":
    main()
