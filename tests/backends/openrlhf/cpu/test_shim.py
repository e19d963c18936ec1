"""The import hooks in real interpreters, started with the environment that a launch gets."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from typing import Any

import pytest

from lrmctl.backends.openrlhf.cpu import cpu_env

needs_openrlhf = pytest.mark.skipif(importlib.util.find_spec("openrlhf") is None, reason="OpenRLHF is not installed")


def run(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def answer(code: str, **env: str) -> Any:
    done = run(code, **env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


LOOK = """
import json, sys
print(json.dumps([type(f).__module__ for f in sys.meta_path] + sys.path))
"""


def test_nothing_happens_without_the_variable() -> None:
    seen = answer(LOOK, **{**cpu_env("fp32"), "LRMCTL_OPENRLHF_CPU": ""})
    assert not any("lrmctl.backends" in entry or entry.endswith("standins") for entry in seen)


@pytest.mark.parametrize(("engine", "first"), [("builtin", True), ("vllm", False)])
def test_stand_ins_come_before_real_packages_unless_a_real_vllm_is_wanted(engine: str, first: bool) -> None:
    seen = answer(LOOK, **cpu_env("fp32", engine=engine))
    assert "lrmctl.backends.openrlhf.import_hooks" in seen
    place = {entry.rsplit("/", 1)[-1]: i for i, entry in enumerate(seen)}
    assert (place["standins"] < place["site-packages"]) is first


@pytest.mark.parametrize(("engine", "real"), [("builtin", False), ("vllm", True)])
def test_the_recipe_says_whether_an_installed_vllm_is_used(tmp_path: Any, engine: str, real: bool) -> None:
    (tmp_path / "vllm.py").write_text("__version__ = 'real'\n")
    env = cpu_env("fp32", engine=engine)
    code = "import json, vllm; print(json.dumps(vllm.__version__))"
    found = answer(code, **{**env, "PYTHONPATH": f"{env['PYTHONPATH']}{os.pathsep}{tmp_path}"})
    assert (found == "real") is real


def test_start_up_imports_nothing_heavy() -> None:
    code = "import json, sys; print(json.dumps([m for m in ('torch', 'ray', 'transformers') if m in sys.modules]))"
    assert answer(code, **cpu_env("fp32")) == []


@pytest.mark.e2e
@needs_openrlhf
def test_a_machine_with_cuda_is_refused() -> None:
    done = run("import torch; torch.cuda.is_available = lambda: True; import openrlhf", **cpu_env("fp32"))
    assert done.returncode != 0
    assert "torch sees a CUDA device" in done.stderr.splitlines()[-1]


@pytest.mark.e2e
@needs_openrlhf
@pytest.mark.parametrize(("dtype", "expected"), [("fp32", "torch.float32"), ("bf16", "torch.bfloat16")])
def test_openrlhf_imports_on_cpu_with_the_dtype_asked_for(dtype: Any, expected: str) -> None:
    code = """
import json, torch
import openrlhf.cli.train_ppo_ray, openrlhf.cli.train_sft
from openrlhf.models.ring_attn_utils import unpad_input
from openrlhf.utils.deepspeed.deepspeed import get_train_ds_config
from openrlhf.utils.utils import convert_to_torch_dtype
from openrlhf.trainer.ray.vllm_engine import vllm
config = get_train_ds_config(offload=False, stage=2, param_dtype="bf16")
print(json.dumps([str(convert_to_torch_dtype("bf16")), config["bf16"]["enabled"], vllm.__file__]))
"""
    kind, bf16, vllm = answer(code, **cpu_env(dtype))
    assert kind == expected
    assert bf16 == (dtype == "bf16")
    assert "standins" in vllm


@pytest.mark.e2e
@needs_openrlhf
def test_results_come_in_the_order_of_dispatch() -> None:
    code = """
import json, time, openrlhf, ray
from lrmctl.backends.openrlhf.cpu.patches import _OrderedRay
ray.init(num_cpus=3)
@ray.remote
def slow(seconds):
    time.sleep(seconds)
    return seconds
in_order, waiting, seen = _OrderedRay(ray), [slow.remote(s) for s in (1.0, 0.0, 0.3)], []
while waiting:
    ready, waiting = in_order.wait(waiting, num_returns=1, timeout=10.0)
    seen += ray.get(ready)
print(json.dumps(seen))
"""
    assert answer(code, **cpu_env("fp32")) == [1.0, 0.0, 0.3]


@pytest.mark.e2e
def test_padding_helpers_undo_each_other() -> None:
    code = """
import json, torch
from flash_attn.bert_padding import pad_input, unpad_input
mask = torch.tensor([[0, 1, 1], [1, 1, 1]])
x = torch.arange(12.).reshape(2, 3, 2)
flat, indices, cumulative, longest, _ = unpad_input(x, mask)
back = pad_input(flat, indices, 2, 3)
print(json.dumps([flat.shape[0], cumulative.tolist(), longest, bool((back == x * mask[..., None]).all())]))
"""
    assert answer(code, **cpu_env("fp32")) == [5, [0, 2, 5], 3, True]
