"""`lrmctl eval` asks a model what fits it and replaces no evaluation silently; no analysis of another is reported."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Lrmctl = Callable[..., Any]

SMALL = ("--set", "evaluation.limit=2", "--set", "evaluation.samples=1", "--set", "evaluation.max_new_tokens=24")
SMALL += ("--set", "evaluation.temperatures=[0.6]", "--set", "evaluation.reasoning=[]")


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("target", ["Qwen/Qwen3-0.6B", "a-servers-name", "./real"])
def test_a_model_that_is_not_the_labs_has_no_evaluation_by_default(lrmctl: Lrmctl, tmp_path: Path, target: str) -> None:
    from lrmctl.lab import base_path

    (tmp_path / "real").mkdir()
    for file in base_path().iterdir():
        (tmp_path / "real" / file.name).write_bytes(file.read_bytes())
    words = read(tmp_path / "real" / "tokenizer.json")
    words["model"]["vocab"] = {"another": 0}
    (tmp_path / "real" / "tokenizer.json").write_text(json.dumps(words))
    said = lrmctl("eval", target)
    assert said.code == 2
    assert "which evaluation?" in said.err
    assert "eval/safety" in said.err
    assert "eval/reasoning" in said.err
    assert not (tmp_path / "runs").exists()


def test_a_copy_of_a_lab_model_is_one(lrmctl: Lrmctl, tmp_path: Path) -> None:
    from lrmctl.lab import base_path, is_lab_model

    (tmp_path / "copy").mkdir()
    for file in base_path().iterdir():
        (tmp_path / "copy" / file.name).symlink_to(file)
    assert is_lab_model(tmp_path / "copy")
    assert not is_lab_model(tmp_path)
    assert lrmctl("eval", "copy", *SMALL).code == 0


@pytest.mark.e2e
def test_an_evaluation_is_replaced_only_when_told_to_and_an_old_analysis_is_not_reported(
    lrmctl: Lrmctl, tmp_path: Path
) -> None:
    assert lrmctl("eval", "lab:tiny", "--name", "m", *SMALL).code == 0
    assert lrmctl("analyze", "m", "--set", "analysis.entropy=false").code == 0
    rows = (tmp_path / "runs/m/eval/rows.jsonl").read_bytes()
    other = ("--set", "evaluation.system=hello")
    refused = lrmctl("eval", "lab:tiny", "--name", "m", *SMALL, *other)
    assert refused.code == 2
    assert "by other settings already, which differs in system" in refused.err
    assert (tmp_path / "runs/m/eval/rows.jsonl").read_bytes() == rows
    assert lrmctl("eval", "lab:tiny", "--name", "m", *SMALL).code == 0  # the same again is fine
    assert "left out" not in lrmctl("report", "m").err
    assert lrmctl("eval", "lab:tiny", "--name", "m", "--variant", "greeted", *SMALL, *other).code == 0
    assert (tmp_path / "runs/m/eval/rows.jsonl").read_bytes() == rows
    assert lrmctl("eval", "lab:tiny", "--name", "m", "--replace", *SMALL, *other).code == 0
    assert (tmp_path / "runs/m/eval/before-1/rows.jsonl").read_bytes() == rows
    told = lrmctl("report", "m")
    assert told.code == 0
    assert "the reflection analysis is of another evaluation" in told.err
    assert "the reflection analysis is of another evaluation" in (tmp_path / "runs/m/report.html").read_text()
    assert read(tmp_path / "runs/m/table.json")["lexicon"] == ""


def test_a_name_that_holds_another_models_evaluation_is_refused(lrmctl: Lrmctl, tmp_path: Path) -> None:
    from lrmctl.lab import base_path

    assert lrmctl("eval", "lab:tiny", "--name", "m", *SMALL).code == 0
    (tmp_path / "other").mkdir()
    for file in base_path().iterdir():
        (tmp_path / "other" / file.name).write_bytes(file.read_bytes())
    config = tmp_path / "other" / "generation_config.json"
    config.write_text(json.dumps({**read(config), "top_k": 7}))
    refused = lrmctl("eval", "other", "--name", "m", *SMALL)
    assert refused.code == 2
    assert "an evaluation of another model" in refused.err
