"""A PEFT adapter is evaluated, judged with and trained from as the whole model that it stands for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from lrmctl.errors import LrmctlError, NotFoundError
from lrmctl.lab import base_path
from lrmctl.models import (
    config_folder,
    fingerprint,
    load_model,
    load_tokenizer,
    load_weights,
    model_facts,
    prepare,
    resolve_model,
)


def made(out: Path, *, kind: Any = AutoModelForCausalLM, task: str = "CAUSAL_LM", **how: Any) -> Path:
    torch.manual_seed(3)
    base = kind.from_pretrained(base_path(), **how)
    model = get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type=task))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.5)
    model.save_pretrained(out)
    return out


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return made(tmp_path / "adapter")


def test_an_adapter_is_its_base_with_the_adapter_merged_in(adapter: Path, tmp_path: Path) -> None:
    found = resolve_model(str(adapter), tmp_path)
    whole: Any = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base_path()), str(adapter))
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.inference_mode():
        got, right, base = (m.eval()(ids).logits for m in (load_model(found), whole, load_model(base_path())))
    assert torch.allclose(got, right, atol=1e-4)
    assert not torch.allclose(got, base, atol=1e-2)
    assert load_tokenizer(found).chat_template == load_tokenizer(base_path()).chat_template
    assert config_folder(found) == base_path()


def test_the_fingerprint_covers_adapter_and_base_wherever_the_base_lies(adapter: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(base_path(), moved)
    other = resolve_model(f"{moved}+{adapter}", tmp_path)
    assert fingerprint(other) == fingerprint(adapter) != fingerprint(base_path())
    assert model_facts(other)["base"] == {"name": str(moved), "fingerprint": fingerprint(base_path())}
    config = json.loads((moved / "generation_config.json").read_text())
    (moved / "generation_config.json").write_text(json.dumps({**config, "temperature": 0.5}))
    assert fingerprint(other) != fingerprint(adapter)


def test_a_base_that_is_not_here_is_said_with_the_way_to_name_another(adapter: Path, tmp_path: Path) -> None:
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": "/gone/model"}))
    with pytest.raises(NotFoundError, match="base cannot be had") as raised:
        resolve_model(str(adapter), tmp_path)
    assert f"BASE+{adapter}" in raised.value.fix
    assert load_model(resolve_model(f"lab:tiny+{adapter}", tmp_path))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"base_model_name_or_path": None}, "does not name its base"),
        ({"peft_type": "PROMPT_TUNING"}, "cannot be merged"),
        ({"task_type": "SEQ_CLS"}, "for the task SEQ_CLS"),
        ({"peft_type": "NEW_KIND"}, "cannot be merged into"),
        ({"r": 7}, "cannot be merged into"),
        ({"target_modules": ["nowhere"]}, "cannot be merged into"),
    ],
)
def test_an_adapter_that_does_not_fit_is_one_sentence(
    change: dict[str, Any], said: str, adapter: Path, lrmctl: Any
) -> None:
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**config, **change}))
    done = lrmctl("eval", adapter, "--recipe", "eval.yaml")
    assert done.code == 2, done.err
    assert said in " ".join(done.err.split())


def test_an_adapter_without_weights_or_with_damaged_ones_is_one_sentence(adapter: Path, lrmctl: Any) -> None:
    file = adapter / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:50])
    assert "damaged weight file" in " ".join(lrmctl("eval", adapter, "--recipe", "eval.yaml").err.split())
    file.unlink()
    assert "adapter without weights" in " ".join(lrmctl("eval", adapter, "--recipe", "eval.yaml").err.split())


def test_an_evaluation_names_the_base(adapter: Path, lrmctl: Any, tmp_path: Path) -> None:
    done = lrmctl("eval", adapter, "--recipe", "eval.yaml", "--name", "lora")
    assert done.code in (0, 1), done.err  # 1: findings, such as thoughts that four tokens cannot close
    summary = json.loads((tmp_path / "runs/lora/eval/summary.json").read_text())
    assert summary["base"] == {"name": str(base_path()), "fingerprint": fingerprint(base_path())}
    assert summary["fingerprint"] == fingerprint(adapter)


def test_a_reward_model_may_be_an_adapter(tmp_path: Path) -> None:
    folder = made(tmp_path / "rm", kind=AutoModelForSequenceClassification, task="SEQ_CLS", num_labels=1)
    found = resolve_model(str(folder), tmp_path, head="scalar")
    model = load_weights(AutoModelForSequenceClassification, found, "float32")
    assert model.config.num_labels == 1
    saved = PeftModel.from_pretrained(
        AutoModelForSequenceClassification.from_pretrained(base_path(), num_labels=1), str(folder)
    )
    assert torch.equal(model.score.weight, saved.base_model.model.score.modules_to_save["default"].weight)


def test_a_model_without_a_head_for_rewards_is_never_given_a_random_one() -> None:
    with pytest.raises(LrmctlError, match=r"missing, such as score\.weight"):
        load_weights(AutoModelForSequenceClassification, base_path(), "float32", num_labels=1)


def test_a_trainer_gets_a_whole_model_and_a_plan_says_so(adapter: Path, lrmctl: Any, tmp_path: Path) -> None:
    folder = prepare(adapter, tmp_path / "start", load_tokenizer(adapter))
    assert folder == tmp_path / "start"
    ids = torch.tensor([[5, 6, 7]])
    with torch.inference_mode():
        assert torch.allclose(load_model(folder)(ids).logits, load_model(adapter)(ids).logits, atol=1e-4)
    (tmp_path / "sft.yaml").write_text(
        f"kind: sft\nname: small\nmodel: {adapter}\ndata: {{max_len: 256, sources: [{{use: lab-teacher}}]}}\n"
    )
    done = lrmctl("train", "sft.yaml", "--dry-run")
    assert done.code in (0, 1), done.err  # 1: findings, such as thoughts that four tokens cannot close
    assert "merged into its base" in " ".join((done.out + done.err).split())
