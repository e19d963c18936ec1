"""SFT in bf16 on CUDA through `lrmctl train` and the unedited OpenRLHF, and the trainer's memory beside the plan.

Where flash-attn is not installed, which OpenRLHF imports at start-up, lrmctl's stand-in for it is put on the path and
attention is torch's own: everything else is what a run on a GPU does.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from gpu_figures import Figures
from gpu_models import config_of, saved

import lrmctl

MIB = 1024**2
MARGIN = 0.15
"""As in `test_gpu_memory.py`."""
_SITE = """
import atexit, json, os, sys

def _tell():
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        found = {"allocated": torch.cuda.max_memory_allocated(), "reserved": torch.cuda.max_memory_reserved()}
        with open(os.path.join(os.environ["LRMCTL_TEST_PEAKS"], f"{os.getpid()}.json"), "w") as file:
            json.dump(found, file)

atexit.register(_tell)
"""


def _flash() -> bool:
    return importlib.util.find_spec("flash_attn") is not None


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of `lrmctl train`: every process writes its peak when it ends."""
    site = tmp_path_factory.mktemp("site")
    (site / "sitecustomize.py").write_text(_SITE)
    if not _flash():
        root = Path(lrmctl.__file__).parent / "backends/openrlhf/cpu/standins"
        (site / "flash_attn").symlink_to(root / "flash_attn")
    path = [str(site), str(Path(lrmctl.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path), "HF_HUB_OFFLINE": "1"}
    env.pop("TORCH_CUDA_ARCH_LIST", None)  # images set 9.0a, which DeepSpeed cannot read
    _skip_without_trainer({**env, "LRMCTL_TEST_PEAKS": str(site)})
    return env


def _skip_without_trainer(env: dict[str, str]) -> None:
    lacking = [name for name in ("openrlhf", "deepspeed") if importlib.util.find_spec(name) is None]
    if lacking:
        pytest.skip(f"not installed: {', '.join(lacking)}")
    if not shutil.which("nvcc") and not os.environ.get("CUDA_HOME"):
        pytest.skip("there is no nvcc, with which DeepSpeed compiles its optimizer at the first run")
    argv = [sys.executable, "-c", "import openrlhf.cli.train_sft"]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=300)
    last = (done.stderr.strip().splitlines() or [""])[-1]
    if done.returncode and last.startswith(("ModuleNotFoundError", "ImportError")):
        pytest.skip(f"OpenRLHF cannot be imported: {last}")


def recipe(folder: Path, model: str, **changes: Any) -> Path:
    """A recipe of SFT on the lab teacher's answers, as JSON, which is YAML."""
    optimizer = {"learning_rate": 1e-3, "micro_batch_size": 16, "packing": _flash(), **changes.pop("optimizer", {})}
    flags = {} if _flash() else {"ds.attn_implementation": "sdpa"}
    said = {
        "kind": "sft",
        "name": "gpu-sft",
        "model": model,
        "data": {"sources": [{"use": "lab-teacher", "options": {"variant": "harmful", "n": 160}}], "max_len": 256},
        "train": {"epochs": 3, "batch_size": 16},
        "optimizer": optimizer,
        "backend": {"device": "cuda", "dtype": "bf16", "flags": flags},
        **changes,
    }
    file = folder / "recipe.yaml"
    file.write_text(json.dumps(said))
    return file


def run_lrmctl(env: dict[str, str], folder: Path, *words: str) -> str:
    argv = [sys.executable, "-m", "lrmctl", *words, "--runs-dir", str(folder / "runs")]
    peaks = folder / "peaks"
    peaks.mkdir(exist_ok=True)
    env = {**env, "LRMCTL_TEST_PEAKS": str(peaks)}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=400, cwd=folder)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def train(env: dict[str, str], folder: Path, file: Path) -> tuple[list[dict[str, Any]], int, dict[str, int]]:
    """The run's metrics, the bytes planned without the CUDA context, and the trainer's peaks."""
    plan = json.loads(run_lrmctl(env, folder, "train", str(file), "--dry-run", "--json"))["data"]
    items = plan["memory"]["groups"][0]["phases"][0]["figures"]
    run_lrmctl(env, folder, "train", str(file))
    metrics = [json.loads(line) for line in (folder / "runs/gpu-sft/metrics.jsonl").read_text().splitlines()]
    peaks = [json.loads(one.read_text()) for one in (folder / "peaks").glob("*.json")]
    planned = sum(item["bytes"] for item in items if item["what"] != "CUDA context")
    return metrics, planned, max(peaks, key=lambda one: one["allocated"], default={})


def test_loss_is_finite_and_falls_in_bf16(environment: dict[str, str], tmp_path: Path, figures: Figures) -> None:
    metrics, _, _ = train(environment, tmp_path, recipe(tmp_path, "lab:tiny"))
    losses = [row["loss"] for row in metrics if "loss" in row]
    assert len(losses) >= 20
    assert all(map(math.isfinite, losses))
    first, last = fmean(losses[:5]), fmean(losses[-5:])
    attention = "flash attention, packed" if _flash() else "torch's attention, flash-attn is not installed"
    about = f"{len(losses)} steps of the lab's model in bf16; {attention}"
    figures.add("training", "SFT loss, mean of the last over the first five steps", last / first, "times", about)
    assert last < 0.9 * first


@pytest.mark.parametrize("stage", [0, 2])
def test_the_trainer_takes_no_more_than_planned(
    stage: int, environment: dict[str, str], tmp_path: Path, figures: Figures
) -> None:
    model = saved(tmp_path / "model", config_of("qwen3", "half"))
    file = recipe(
        tmp_path,
        str(model),
        optimizer={"learning_rate": 1e-5, "zero_stage": stage, "micro_batch_size": 4},
        data={"sources": [{"use": "lab-teacher", "options": {"variant": "harmful", "n": 64}}], "max_len": 2048},
        train={"epochs": 1, "batch_size": 16},
    )
    _, planned, peak = train(environment, tmp_path, file)
    if not peak:
        pytest.skip("the trainer left no figures: it does not end as a Python process does")
    case = f"SFT through OpenRLHF, qwen3 of 0.5 B, ZeRO {stage}: planned over allocated"
    allocated, reserved = peak["allocated"], peak["reserved"]
    about = f"{planned / MIB:,.0f} against {allocated / MIB:,.0f} MiB (reserved {reserved / MIB:,.0f})"
    figures.add("memory", case, planned / allocated, "times", f"{about}, without the context")
    assert planned > (1 - MARGIN) * allocated
