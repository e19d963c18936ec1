"""Weights in the loss of SFT: which token has which, and that nothing changes where all are 1."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from training_recipes import SFT, merged

from lrmctl.backends.openrlhf.weights import VARIABLE
from lrmctl.backends.rows import sft_rows
from lrmctl.backends.weight_runs import COUNTS, VALUES, decoded
from lrmctl.data.sources import Demonstration
from lrmctl.errors import RecipeError
from lrmctl.lab import base_path
from lrmctl.models import load_tokenizer
from lrmctl.recipe.load import load_recipe
from lrmctl.recipe.schema.loss_weights import LossWeights
from lrmctl.recipe.schema.recipes import SftRecipe
from lrmctl.training.behaviour import needs_behaviour, with_behaviour
from lrmctl.training.inputs import inputs_of
from lrmctl.training.plan import plan_training
from lrmctl.types import Prompt

ROW = Demonstration(Prompt.user("1", "What is 2+3?", "reasoning"), "2+3=5.", "The answer is 5.")


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return load_tokenizer(base_path())


def own(weight: Any) -> Demonstration:
    return replace(ROW, prompt=replace(ROW.prompt, meta={"loss_weight": weight}))


def weights_of(tokenizer: Any, *rows: Demonstration, **section: Any) -> list[list[float]]:
    made = sft_rows(tokenizer, rows, 128, weights=LossWeights(**section)).rows
    return [decoded(row[COUNTS], row[VALUES]) for row in made]


def parts(tokenizer: Any) -> tuple[int, int]:
    """Tokens of the thinking with its closing marker, and of the answer with the end of text."""
    (row,) = sft_rows(tokenizer, [ROW], 128).rows
    thinking, answer = row["response"].split("The answer")
    return tuple(len(tokenizer(t, add_special_tokens=False)["input_ids"]) for t in (thinking, f"The answer{answer}"))  # type: ignore[return-value]


def test_rows_have_no_weights_where_all_are_one(tokenizer: Any) -> None:
    (row,) = sft_rows(tokenizer, [ROW], 128, weights=LossWeights()).rows
    assert row.keys() == {"prompt", "response"}


def test_parts_have_their_weights(tokenizer: Any) -> None:
    thinking, answer = parts(tokenizer)
    assert weights_of(tokenizer, ROW, thinking=0.25) == [[0.25] * thinking + [1.0] * answer]
    assert weights_of(tokenizer, own({"answer": 2.0}), thinking=0.0) == [[0.0] * thinking + [2.0] * answer]


def test_weights_of_recipe_source_and_row_are_multiplied(tokenizer: Any) -> None:
    thinking, answer = parts(tokenizer)
    row = replace(own({"thinking": 0.5}), loss_weight=3.0)
    assert weights_of(tokenizer, row, answer=2.0) == [[1.5] * thinking + [6.0] * answer]
    mixed = weights_of(tokenizer, own(0.5), ROW)
    assert mixed == [[0.5] * (thinking + answer), [1.0] * (thinking + answer)]


def test_a_row_may_say_a_weight_for_each_token(tokenizer: Any) -> None:
    count = sum(parts(tokenizer))
    values = [i / 10 for i in range(count)]
    assert weights_of(tokenizer, own(values)) == [values]
    with pytest.raises(RecipeError, match=f"the row '1' has 2 weights, and its response {count} tokens"):
        weights_of(tokenizer, own([1.0, 2.0]))


@pytest.mark.parametrize("wrong", ["heavy", -1, True, float("nan"), {"thought": 1.0}, [1.0, -2.0], None])
def test_what_is_no_weight_is_named_with_its_row(tokenizer: Any, wrong: Any) -> None:
    with pytest.raises(RecipeError, match=r"the loss_weight of the row '1' is|weights, and its response"):
        weights_of(tokenizer, own(wrong))


@pytest.mark.parametrize("weight", [0, {"thinking": 0, "answer": 0}])
def test_a_row_of_which_nothing_is_trained_is_refused(tokenizer: Any, weight: Any) -> None:
    """A step of such rows alone would divide by zero."""
    with pytest.raises(RecipeError, match="all weights of the row '1' are 0"):
        weights_of(tokenizer, own(weight))


def test_importance_weights_do_not_pass_over_others(tokenizer: Any) -> None:
    section = LossWeights.model_validate({"importance": {"behaviour": "lab:tiny"}})
    for row in (own(0.5), replace(ROW, loss_weight=2.0)):
        with pytest.raises(RecipeError, match="importance weights stand alone"):
            sft_rows(tokenizer, [row], 128, weights=section)


def test_sources_and_rows_of_files_have_weights(tmp_path: Path, tokenizer: Any) -> None:
    rows = [{"prompt": "A?", "thinking": "Hm.", "answer": "B.", "kind": "benign"} for _ in range(2)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({**row, "loss_weight": 0.5}) + "\n" for row in rows))
    source = {"use": "jsonl", "options": {"path": str(tmp_path / "rows.jsonl")}, "loss_weight": 0.5}
    asked = SftRecipe.model_validate(merged(SFT, {"data": {"sources": [source], "max_len": 256}}))
    found = inputs_of(asked, base_path(), tokenizer).rows
    assert found is not None
    assert {value for row in found.rows for value in row[VALUES]} == {0.25}


def test_the_hook_is_on_only_where_there_are_weights(tmp_path: Path) -> None:
    def env(**data: Any) -> Any:
        file = tmp_path / "sft.yaml"
        file.write_text(yaml.safe_dump(merged(SFT, {"data": {**SFT["data"], **data}})))
        return plan_training(load_recipe(file), runs_dir=tmp_path / "runs").backend_plan.env

    assert VARIABLE not in env()
    assert VARIABLE not in env(loss_weights={"thinking": 1.0})
    assert json.loads(env(loss_weights={"thinking": 0.5})[VARIABLE]) == {"normalise": "tokens"}
    importance = env(loss_weights={"importance": {"behaviour": "lab:tiny", "level": "block"}})
    told = {"level": "block", "gamma": 0.999, "block": 4, "low": -0.08, "high": 0.3, "log_low": -10.0, "log_high": 5.0}
    assert json.loads(importance[VARIABLE]) == {"normalise": "tokens", "importance": told}
    assert "openrlhf/site" in importance["PYTHONPATH"]


@pytest.mark.parametrize("policy", ["lab:tiny", "run:study/lab-tiny/seed-0/expert"])  # the second as in a study's cell
def test_log_probabilities_are_those_of_the_policy_that_wrote_the_rows(
    tmp_path: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    import torch

    from lrmctl.models import load_model

    monkeypatch.setenv("LRMCTL_RUNS_HERE", str(tmp_path))
    expert = tmp_path / "study" / "lab-tiny" / "seed-0" / "expert"
    expert.mkdir(parents=True)
    (expert / "model").symlink_to(base_path())
    section = {"importance": {"behaviour": policy}}
    asked = SftRecipe.model_validate(merged(SFT, {"data": {**SFT["data"], "loss_weights": section}}))
    rows = sft_rows(tokenizer, [ROW], 128, weights=asked.data.loss_weights)
    assert needs_behaviour(asked, rows)
    found = with_behaviour(asked, rows, tokenizer)
    assert not needs_behaviour(asked, found)
    (row,) = found.rows
    prompt, whole = (
        tokenizer(text, add_special_tokens=False)["input_ids"]
        for text in (row["prompt"], row["prompt"] + row["response"])
    )
    model = load_model(base_path(), dtype="float32", device="cpu")
    with torch.no_grad():
        logps = model(torch.tensor([whole])).logits[0].log_softmax(-1)
    wanted = [float(logps[i - 1, whole[i]]) for i in range(len(prompt), len(whole))]
    assert [one + 1 for one in decoded(row[COUNTS], row[VALUES])] == pytest.approx(wanted, abs=1e-4)


def test_a_policy_with_other_tokens_is_refused(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import lrmctl.models

    class Other:
        def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
            return {"input_ids": [ord(c) for c in text]}

    section = {"importance": {"behaviour": "lab:tiny"}}
    asked = SftRecipe.model_validate(merged(SFT, {"data": {**SFT["data"], "loss_weights": section}}))
    rows = sft_rows(tokenizer, [ROW], 128)
    monkeypatch.setattr(lrmctl.models, "load_tokenizer", lambda _: Other())
    with pytest.raises(RecipeError, match="splits row 1 into other tokens"):
        with_behaviour(asked, rows, tokenizer)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"thinking": -1}, "greater than or equal to 0"),
        ({"thinking": 0, "answer": 0}, "nothing is trained"),
        ({"importance": {"behaviour": "lab:tiny"}, "answer": 2}, "stands alone"),
        ({"importance": {"behaviour": "lab:tiny", "clip": [1, 0]}}, "the lower bound 1 is not below"),
        ({"importance": {"behaviour": "lab:tiny", "gamma": 0}}, "greater than 0"),
    ],
)
def test_sections_that_make_no_sense_are_refused(section: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        LossWeights.model_validate(section)
