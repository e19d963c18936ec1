"""`validate` finds what a run would stumble over: own files and columns, engines of judges, the model's length."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lrmctl.errors import LrmctlError
from lrmctl.preflight.positions import fit_lengths
from lrmctl.preflight.validate import validate
from lrmctl.recipe.load import LoadedRecipe, load_recipe

EVAL = "kind: eval\nname: e\nmodel: lab:tiny\nevaluation:\n  judge: refusal-phrases\n  safety:\n    - {entry}\n"
RL = "kind: rl\nname: r\nmodel: {model}\n{more}prompts: [{prompts}]\nreward: {{components: [format]}}\n"
SFT = "kind: sft\nname: s\nmodel: {model}\ndata:\n  {more}sources: [lab-teacher]\n"


def written(folder: Path, text: str) -> LoadedRecipe:
    file = folder / "r.yaml"
    file.write_text(text)
    return load_recipe(file)


def model(folder: Path, **config: Any) -> Path:
    path = folder / "model"
    path.mkdir()
    (path / "config.json").write_text(json.dumps(config))
    return path


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("{path: missing.csv}", "there is no file missing.csv"),
        ("{path: own.csv}", "the row has no prompt"),
        ("{path: own.csv, prompt: asked, kind: label}", "there is no column 'label'"),
        ("{path: own.csv, prompt: asked, kind: level}", "level is 'odd', neither harmful nor benign"),
    ],
)
def test_own_prompts_are_read_before_anything_runs(tmp_path: Path, options: str, said: str) -> None:
    (tmp_path / "own.csv").write_text("asked,level\nwhat?,odd\n")
    loaded = written(tmp_path, EVAL.format(entry=f"{{use: prompts-file, options: {options}}}"))
    with pytest.raises(LrmctlError, match=r"evaluation\.safety\.0\.options") as error:
        validate(loaded)
    assert said in str(error.value)
    assert "r.yaml:7" in str(error.value)


def test_own_training_rows_are_read_too(tmp_path: Path) -> None:
    (tmp_path / "own.jsonl").write_text('{"prompt": "hazard-1?", "kind": "harmful"}\n{"kind": "harmful"}\n')
    use = "{use: jsonl, options: {path: own.jsonl}}"
    with pytest.raises(LrmctlError, match=r"prompts\.0\.options"):
        validate(written(tmp_path, RL.format(model="lab:tiny", more="", prompts=use)))
    (tmp_path / "own.jsonl").write_text('{"prompt": "hazard-1?", "kind": "harmful"}\n')
    validate(written(tmp_path, RL.format(model="lab:tiny", more="", prompts=use)))


@pytest.mark.parametrize(
    "judge",
    ["{llama-guard-3: {engine: {use: hf, dtpe: float32}}}", "{wildguard: {engine: vlm}}"],
)
def test_an_engine_of_a_judge_is_checked(tmp_path: Path, judge: str) -> None:
    loaded = written(tmp_path, EVAL.format(entry=f"{{use: lab-harmful, judge: {judge}}}"))
    with pytest.raises(LrmctlError, match=r"r\.yaml:7: evaluation\.safety\.0\.judge: engine"):
        validate(loaded)


@pytest.mark.parametrize(("text", "key"), [(RL, "max_len"), (SFT, "data.max_len")])
def test_a_length_that_the_model_does_not_have_is_found_early(tmp_path: Path, text: str, key: str) -> None:
    loaded = written(
        tmp_path, text.format(model="lab:tiny", more="max_len: 513\n" + "  " * (text is SFT), prompts="lab-prompts")
    )
    with pytest.raises(LrmctlError, match=rf"r\.yaml:\d: {key}: 513 tokens are more than the model's 512") as error:
        validate(loaded)
    assert "say at most 512" in str(error.value)


def test_a_length_that_nobody_said_fits_the_model(tmp_path: Path) -> None:
    rl: Any = fit_lengths(written(tmp_path, RL.format(model="lab:tiny", more="", prompts="lab-prompts"))).recipe
    assert (rl.max_len, rl.rollout.max_new_tokens) == (512, 256)
    sft: Any = fit_lengths(written(tmp_path, SFT.format(model="lab:tiny", more=""))).recipe
    assert sft.data.max_len == 512
    said = "rollout: {max_new_tokens: 100}\n"
    own: Any = fit_lengths(written(tmp_path, RL.format(model="lab:tiny", more=said, prompts="lab-prompts"))).recipe
    assert (own.max_len, own.rollout.max_new_tokens) == (512, 100)


@pytest.mark.parametrize(
    ("config", "longest"),
    [
        ({"max_position_embeddings": 4096}, 4096),
        ({"text_config": {"max_position_embeddings": 2048}}, 2048),
        ({"max_position_embeddings": 131072}, 8192),
        ({}, 8192),
        ({"max_position_embeddings": "many"}, 8192),
    ],
)
def test_a_default_is_never_more_than_a_model_has(tmp_path: Path, config: dict[str, Any], longest: int) -> None:
    made: Any = fit_lengths(written(tmp_path, SFT.format(model=model(tmp_path, **config), more=""))).recipe
    assert made.data.max_len == longest


def test_a_run_is_looked_for_in_its_runs_folder(tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "first").mkdir(parents=True)
    model(tmp_path / "elsewhere" / "first", max_position_embeddings=640)
    loaded = written(tmp_path, SFT.format(model="run:first", more=""))
    found: Any = fit_lengths(loaded, tmp_path / "elsewhere").recipe
    assert found.data.max_len == 640
    assert fit_lengths(loaded, tmp_path) is loaded


def test_a_model_that_is_not_here_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    loaded = written(tmp_path, SFT.format(model="owner/name", more=""))
    assert fit_lengths(loaded) is loaded


def test_prompts_that_join_are_announced(tmp_path: Path) -> None:
    loaded = written(tmp_path, EVAL.format(entry="strongreject"))
    (note,) = validate(loaded)
    assert "no set has benign prompts: those of xstest/safe are asked too" in str(note)
    assert "`over_refusal: false` leaves them out" in str(note)
    assert validate(loaded.override({"evaluation.over_refusal": False})) == []
    assert validate(load_recipe("eval/safety")) == []


def test_an_evaluation_goes_on_without_prompts_that_it_was_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lrmctl.evaluation import evaluate
    from lrmctl.lab import base_path

    for name in ("LRMCTL_DATA_DIR", "HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "own.txt").write_text("hazard-1?\nhazard-2?\n")
    entry = "{use: prompts-file, options: {path: own.txt}}"
    section: Any = written(tmp_path, EVAL.format(entry=entry) + "  samples: 1\n  max_new_tokens: 8\n").recipe
    with pytest.warns(UserWarning, match="over-refusal is not measured"):
        summary = evaluate(base_path(), section.evaluation, tmp_path / "out")
    assert [entry["set"] for entry in summary["sets"]] == ["own"]
    assert "cannot be had" in summary["warnings"][0]
