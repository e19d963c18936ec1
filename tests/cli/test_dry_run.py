"""`lrmctl train --dry-run`: everything it can say with and without the model, the data and the GPUs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from lrmctl.lab import base_path

if TYPE_CHECKING:
    from conftest import Lrmctl

HUB = "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B"
RL: dict[str, Any] = {
    "kind": "rl",
    "name": "planned",
    "model": HUB,
    "prompts": [{"use": "jsonl", "options": {"path": "prompts.jsonl", "kind": "harmful"}}],
    "reward": {"components": [{"use": "judged-safe", "name": "safe", "options": {"judge": "lab"}}]},
    "algorithm": {"kl": {"coef": 0.001}},
    "optimizer": {"micro_batch_size": 1},
    "layout": {"gpus": 4, "gpu_type": "A100-80GB"},
    "backend": {"device": "cuda"},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a recipe of a model that is not here, and its prompts, one of them twice."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.delenv("LRMCTL_DATA_DIR", raising=False)
    texts = [f"How is vault number {i} opened?" for i in range(40)]
    lines = [json.dumps({"prompt": text}) for text in [*texts, texts[0]]]
    (tmp_path / "prompts.jsonl").write_text("\n".join(lines))
    return tmp_path


def write(folder: Path, **changes: Any) -> str:
    (folder / "r.yaml").write_text(yaml.safe_dump({**RL, **changes}))
    return "r.yaml"


def plan(lrmctl: Lrmctl, *words: str) -> Any:
    done = lrmctl("train", *words, "--dry-run", "--json")
    assert done.code == 0, done.err
    envelope = json.loads(done.out)
    assert envelope["kind"] == "plan"
    return envelope["data"]


def test_a_model_that_is_not_here_is_planned_for_and_said(lrmctl: Lrmctl, folder: Path) -> None:
    found = plan(lrmctl, write(folder))
    assert found["argv"][found["argv"].index("--actor.model_name_or_path") + 1] == HUB
    assert found["model"]["parameters"] == 7_615_616_512
    assert found["layout"]["gpus"] == 4
    assert found["memory"]["verdict"] in ("fits", "tight", "does not fit")
    assert found["derived"]["passes"] == round(80 * 16 / 41, 2)
    assert any(HUB in why and "fix:" in why for why in found["audit"]["not_audited"])
    assert found["audit"]["duplicates"]["exact"] == 1
    assert found["audit"]["tokens"] == {}
    assert found["example"] == {}
    assert any("another machine" in note for note in found["notes"])


def test_data_that_is_not_here_is_said_and_the_rest_is_planned(lrmctl: Lrmctl, folder: Path) -> None:
    found = plan(lrmctl, write(folder, prompts=[{"use": "hub", "options": {"id": "acme/secret", "kind": "benign"}}]))
    assert any("acme/secret" in why for why in found["audit"]["not_audited"])
    assert (found["derived"]["steps"], found["derived"]["passes"]) == (80, None)


def test_a_model_of_unknown_shape_has_no_estimate_and_everything_else(lrmctl: Lrmctl, folder: Path) -> None:
    found = plan(lrmctl, write(folder, model="acme/unheard-of"))
    assert "acme/unheard-of" in found["memory"]["not_estimated"]
    assert found["derived"]["samples"] == 80 * 128


def test_a_model_that_is_here_gets_an_audit_an_example_and_real_files(lrmctl: Lrmctl, folder: Path) -> None:
    shutil.copytree(base_path(), folder / "model")
    found = plan(lrmctl, write(folder, model="./model", max_len=200, rollout={"max_new_tokens": 100}))
    assert found["audit"]["tokens"]["prompt"]["percentiles"]["max"] > 5
    assert found["example"]["prompt"].endswith("<think>\n")
    assert found["files"]["data/prompts.jsonl"] > 1000
    assert found["audit"]["rows"] == 41


def test_rows_that_are_too_long_are_counted_by_kind_and_source(lrmctl: Lrmctl, folder: Path) -> None:
    shutil.copytree(base_path(), folder / "model")
    long = json.dumps({"prompt": "open the vault " * 40})
    (folder / "prompts.jsonl").write_text((folder / "prompts.jsonl").read_text() + "\n" + long)
    found = plan(lrmctl, write(folder, model="./model", max_len=150, rollout={"max_new_tokens": 100}))
    assert found["audit"]["dropped"] == {"harmful / prompts.jsonl": 1}


def test_prompts_of_an_evaluation_recipe_are_looked_for(lrmctl: Lrmctl, folder: Path) -> None:
    found = plan(lrmctl, write(folder), "--against", "lab/eval")
    assert set(found["audit"]["overlap"]) == {
        "lab-harmful/heldout",
        "lab-benign/heldout",
        "lab-harmful/in",
        "lab-benign/in",
        "lab_arithmetic",
    }


def test_a_guard_in_the_reward_service_is_counted_on_its_gpu(lrmctl: Lrmctl, folder: Path) -> None:
    def groups(**options: Any) -> list[str]:
        component = {"use": "judged-safe", "options": {"judge": "qwen3guard", "judge_options": options}}
        found = plan(lrmctl, write(folder, reward={"components": [component]}))
        return [group["group"] for group in found["memory"]["groups"]]

    assert groups()[-1] == "actor + reference + rollout engine + qwen3guard (GPU 0)"
    assert groups(device="cuda:7")[-1] == "qwen3guard (GPU 7)"
    assert len(groups(device="cpu")) == 1


def test_the_text_fits_into_a_hundred_columns_and_has_every_section(lrmctl: Lrmctl, folder: Path) -> None:
    done = lrmctl("train", write(folder), "--dry-run", "--out", "plan.json")
    assert done.code == 0, done.err
    for title in ("Layout", "Numbers", "Memory per GPU", "Data", "First row", "Command", "Notes"):
        assert f"\n{title}\n" in done.out
    assert max(len(line) for line in done.out.splitlines()) <= 100
    assert json.loads((folder / "plan.json").read_text())["derived"]["steps"] == 80


def test_nothing_is_made_and_an_error_is_the_same_as_of_a_real_run(lrmctl: Lrmctl, folder: Path) -> None:
    before = sorted(p.name for p in folder.iterdir())
    assert plan(lrmctl, "lab/sft-mixed")["audit"]["thinking_lost"] == 0
    assert sorted(p.name for p in folder.iterdir()) == before
    bad = lrmctl("train", write(folder, backend={"device": "cuda", "flags": {"nope": 1}}), "--dry-run")
    assert bad.code == 2
    assert "nope" in bad.err
    gpu = lrmctl("train", write(folder, layout={"gpus": 4, "gpu_type": "H100"}), "--dry-run")
    assert (gpu.code, "H100-80GB" in gpu.err) == (2, True)


def test_rejection_sampling_is_planned_before_it_has_rows(lrmctl: Lrmctl, folder: Path) -> None:  # noqa: ARG001
    found = plan(lrmctl, "lab/rft")
    assert any("sampled" in why for why in found["audit"]["not_audited"])
    assert found["derived"]["steps"] is None


@pytest.mark.e2e
def test_the_plan_of_a_real_run_holds_the_same_sections(start: Any, stub_backend: Path, tmp_path: Path) -> None:
    run = start("train", "small.yaml", plugins=stub_backend)
    assert run.wait(timeout=180) == 3  # the stub's own failure, after the plan was written
    run.communicate()
    found = json.loads((tmp_path / "runs" / "small" / "plan.json").read_text())
    assert found["estimates"] == {"steps": 2}
    assert found["derived"]["samples"] == 64 // 8 * 3 // 2 * 16
    assert {"layout", "memory", "model"} < set(found)
    assert "audit" not in found
