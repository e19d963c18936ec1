"""Python code in a model's folder runs only where the user says so: never by a question, never by a trainer."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from lrmctl.lab import base_path
from lrmctl.models import load_model, load_tokenizer, prepare, resolve_model

CODE = """
from pathlib import Path
from transformers import LlamaConfig, LlamaForCausalLM

Path({mark!r}).write_text("ran")


class OwnConfig(LlamaConfig):
    model_type = {kind!r}


class OwnModel(LlamaForCausalLM):
    config_class = OwnConfig
"""


def with_code(folder: Path, mark: Path, kind: str) -> None:
    """A model whose configuration names Python code beside it."""
    file = folder / "config.json"
    maps = {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"}
    file.write_text(json.dumps({**json.loads(file.read_text()), "model_type": kind, "auto_map": maps}))
    (folder / "own.py").write_text(CODE.format(mark=str(mark), kind=kind))


@pytest.fixture
def mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the code writes; everything asked on standard input is answered with yes."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("yes\n" * 100))
    return tmp_path / "mark"


@pytest.mark.parametrize("words", [("eval",), ("train",), ("train", "--dry-run"), ("judge",)])
def test_a_model_that_needs_its_code_is_refused_with_the_switch(
    words: tuple[str, ...], copy: Path, mark: Path, lrmctl: Any, tmp_path: Path
) -> None:
    with_code(copy, mark, "own-kind")
    recipe = (tmp_path / "eval.yaml").read_text()
    (tmp_path / "sft.yaml").write_text(
        f"kind: sft\nname: small\nmodel: {copy}\ndata: {{max_len: 256, sources: [{{use: lab-teacher}}]}}\n"
    )
    if words[0] == "train":
        done = lrmctl("train", "sft.yaml", *words[1:])
    elif words[0] == "judge":
        (tmp_path / "eval.yaml").write_text(
            recipe.replace("judge: refusal-phrases", f"judge: wildguard\n  judge_options: {{model: {copy}}}")
        )
        done = lrmctl("eval", base_path(), "--recipe", "eval.yaml")
    else:
        done = lrmctl("eval", copy, "--recipe", "eval.yaml")
    assert done.code == 2, done.err
    assert "trust_remote_code: true" in " ".join(done.err.split())
    assert not mark.exists()


def test_a_usual_model_that_names_code_is_loaded_without_it(copy: Path, mark: Path, lrmctl: Any) -> None:
    with_code(copy, mark, "llama")
    done = lrmctl("eval", copy, "--recipe", "eval.yaml")
    assert done.code in (0, 1), done.err  # 1: findings, such as thoughts that four tokens cannot close
    assert not mark.exists()


def test_the_switch_runs_it_and_the_summary_says_so(
    copy: Path, mark: Path, lrmctl: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    with_code(copy, mark, "own-kind")
    done = lrmctl("eval", copy, "--recipe", "eval.yaml", "--trust-remote-code", "--name", "trusted")
    assert done.code in (0, 1), done.err  # 1: findings, such as thoughts that four tokens cannot close
    assert mark.exists()
    assert json.loads((tmp_path / "runs/trusted/eval/summary.json").read_text())["trust_remote_code"] is True


def test_a_trainer_that_trusts_everything_gets_a_folder_that_names_no_code(
    copy: Path, mark: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with_code(copy, mark, "llama")
    folder = prepare(resolve_model(str(copy), tmp_path), tmp_path / "start", load_tokenizer(copy))
    assert folder != copy
    AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)  # as OpenRLHF does
    AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
    assert not mark.exists()
    assert "auto_map" in (copy / "config.json").read_text()
    assert load_model(folder).num_parameters() == load_model(base_path()).num_parameters()


def test_a_plan_says_that_code_is_not_run(copy: Path, mark: Path, lrmctl: Any, tmp_path: Path) -> None:
    with_code(copy, mark, "llama")
    (tmp_path / "sft.yaml").write_text(
        f"kind: sft\nname: small\nmodel: {copy}\ndata: {{max_len: 256, sources: [{{use: lab-teacher}}]}}\n"
    )
    done = lrmctl("train", "sft.yaml", "--dry-run")
    assert done.code in (0, 1), done.err  # 1: findings, such as thoughts that four tokens cannot close
    assert "which is not run" in " ".join((done.out + done.err).split())
    assert not mark.exists()
