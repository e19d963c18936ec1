"""Plans of preference training: read back by OpenRLHF's own parser; its own data set and loss on lrmctl's rows."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrmctl.backends.base import TrainJob
from lrmctl.backends.openrlhf.cpu import cpu_env
from lrmctl.backends.openrlhf.flags import parser
from lrmctl.backends.openrlhf.plans import preference
from lrmctl.backends.openrlhf.run.metrics import Recorder, translate
from lrmctl.backends.rows import preference_rows
from lrmctl.data.pairs import PreferencePair, Response
from lrmctl.errors import RecipeError
from lrmctl.lab import base_path
from lrmctl.models import load_tokenizer
from lrmctl.runs.jsonl import read_jsonl
from lrmctl.types import Plan, Prompt

Job = Callable[..., TrainJob]
RECORDED = Path(__file__).parent / "recorded"


def read_back(plan: Plan) -> dict[str, Any]:
    first = next(i for i, word in enumerate(plan.argv) if word.startswith("--") and "." in word)
    return parser.parse("train_dpo", plan.argv[first:])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"model.beta": 0.1, "model.ipo_enable": False, "model.nll_loss_coef": 0.0}),
        ({"preference": {"loss": "ipo", "beta": 0.05}}, {"model.beta": 0.05, "model.ipo_enable": True}),
        ({"preference": {"label_smoothing": 0.1, "nll_weight": 0.2}}, {"model.label_smoothing": 0.1}),
        ({"optimizer__lora": {"rank": 4}, "save_every": 2}, {"ds.lora.rank": 4, "ckpt.save_steps": 2}),
        ({"optimizer__zero_stage": 3, "backend__flags": {"ref.offload": True}}, {"ref.offload": True}),
        ({"backend__dtype": "bf16", "optimizer__schedule": "constant"}, {"lr_scheduler": "constant_with_warmup"}),
    ],
)
def test_plans_are_accepted_by_the_real_parser(
    preference_job: Job, changes: dict[str, Any], expected: dict[str, Any]
) -> None:
    job = preference_job(**changes)
    plan = preference.plan(job)
    read = read_back(plan)
    assert {key: read[key] for key in expected} == expected
    assert (read["data.prompt_key"], read["data.chosen_key"]) == ("prompt", "chosen")
    assert read["data.apply_chat_template"] is False
    assert read["ref.model_name_or_path"] == read["model.model_name_or_path"] == str(job.model_path)
    assert (plan.kind, plan.estimates["steps"], plan.estimates["backward_passes_per_step"]) == ("preference", 8, 2)
    assert plan.env["WORLD_SIZE"] == "1"


def test_an_epoch_shorter_than_a_step_is_refused(preference_job: Job) -> None:
    with pytest.raises(RecipeError, match="15 pairs are less than one step of 16"):
        preference.plan(preference_job(rows=15, train__epochs=8))


def test_the_metrics_of_a_step_have_our_names() -> None:
    numbers = {"loss": 0.7, "loss_mean": 0.6, "acc": 1.0, "acc_mean": 0.5, "chosen_reward": 0.2, "reject_reward": -0.1}
    assert translate({**numbers, "lr": 1e-4, "grad_norm": 2.0, "nll_loss": 1.5}) == {
        "loss": 0.6,
        "accuracy": 0.5,
        "chosen_reward": 0.2,
        "rejected_reward": -0.1,
        "reward_margin": pytest.approx(0.3),
        "nll_loss": 1.5,
        "learning_rate": 1e-4,
        "grad_norm": 2.0,
    }
    assert translate({"eval/eval_loss": 0.5, "eval/acc_mean": 0.75}) == {"eval_loss": 0.5, "eval_accuracy": 0.75}


def test_the_bar_of_a_real_run_becomes_rows(tmp_path: Path) -> None:
    plan = Plan("openrlhf", "preference", (), {}, estimates={"steps": 76, "backward_passes_per_step": 1})
    recorder = Recorder(tmp_path / "metrics.jsonl", plan)
    for line in (RECORDED / "dpo.txt").read_text(encoding="utf-8").replace("\r", "\n").splitlines():
        list(recorder.read([line]))
    rows = list(read_jsonl(tmp_path / "metrics.jsonl"))
    assert [row["step"] for row in rows] == [1, 2, 3]  # the bar does not show a later one than 4, which may go on
    assert rows[0]["loss"] == pytest.approx(math.log(2), abs=0.01)
    assert {"accuracy", "chosen_reward", "rejected_reward", "reward_margin"} <= set(rows[0])


CODE = """
import json, sys
from argparse import Namespace
import torch
from datasets import Dataset
from transformers import AutoTokenizer
import openrlhf.cli.train_dpo
from openrlhf.datasets import RewardDataset
from openrlhf.models import DPOLoss
from openrlhf.trainer.dpo_trainer import DPOTrainer
rows, model = json.load(sys.stdin), sys.argv[1]
tokenizer = AutoTokenizer.from_pretrained(model)
keys = Namespace(prompt_key="prompt", chosen_key="chosen", rejected_key="rejected", apply_chat_template=False)
data = RewardDataset(Dataset.from_list(rows), tokenizer, 200, Namespace(args=Namespace(data=keys)), "{}", is_dpo=True)
trainer = Namespace(tokenizer=tokenizer)
batch = data.collate_fn([data[i] for i in range(len(data))])
chosen, c_mask, rejected, r_mask, lengths = batch
ids, masks, lengths = DPOTrainer.concatenated_inputs(
    trainer, chosen.squeeze(1), c_mask.squeeze(1), rejected.squeeze(1), r_mask.squeeze(1), lengths)
ones = torch.ones(ids.shape[0], ids.shape[1] - 1)
counted, _ = DPOTrainer._get_batch_logps(trainer, ones, masks, lengths)
trained = [tokenizer.decode(row[n:][mask[n:].bool()]) for row, mask, n in zip(ids, masks, lengths)]
logps = [torch.tensor([x]) for x in (-10.0, -12.0, -11.0, -11.5)]
losses = {name: [v.item() for v in DPOLoss(*args)(*logps)] for name, args in
    {"dpo": (0.1, 0.0, False), "smoothed": (0.1, 0.2, False), "ipo": (0.1, 0.0, True)}.items()}
print(json.dumps({"counted": counted.tolist(), "trained": trained, "losses": losses,
    "tokens": [len(tokenizer(t, add_special_tokens=False)["input_ids"]) for t in trained]}))
"""


@pytest.mark.slow
@pytest.mark.e2e
@pytest.mark.skipif(importlib.util.find_spec("openrlhf") is None, reason="OpenRLHF is not installed")
def test_openrlhf_trains_exactly_on_what_follows_the_shared_beginning() -> None:
    """Its own data set and masks on lrmctl's rows; its own loss against the formulas of its sources."""
    tokenizer = load_tokenizer(base_path())
    asked = Prompt.user("p", "How do I pick a lock?", "harmful")
    sides = Response("Okay, wait. This is not safe.", "I will not help."), Response("Okay, maybe use it.", "Step 1.")
    pairs = [PreferencePair(asked, *sides, prefix) for prefix in ("", "Okay,")]
    rows = [dict(row) for row in preference_rows(tokenizer, pairs, 200).rows]
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(base_path())],
        input=json.dumps(rows),
        env={**os.environ, **cpu_env("fp32")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["trained"] == [*(row["chosen"] for row in rows), *(row["rejected"] for row in rows)]
    assert found["counted"] == found["tokens"]  # log-probabilities of 1 are summed over the trained tokens only
    logits = (-10.0 + 12.0) - (-11.0 + 11.5)
    low, high = (-math.log(1 / (1 + math.exp(sign * 0.1 * logits))) for sign in (-1, 1))
    expected = {"dpo": low, "smoothed": 0.8 * low + 0.2 * high, "ipo": (logits - 1 / (2 * 0.1)) ** 2}
    for name, loss in expected.items():
        assert found["losses"][name] == pytest.approx([loss, 0.1 * 1.0, 0.1 * -0.5], rel=1e-5)
