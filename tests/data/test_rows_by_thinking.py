"""Rows of training runs for models that think, can think, and do not: template arguments, markers, labels."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from lrmctl.backends.rows import eval_rows, rl_rows, sft_rows
from lrmctl.data.renderer import Renderer
from lrmctl.data.sources import Demonstration
from lrmctl.errors import RecipeError
from lrmctl.lab import base_path
from lrmctl.models import load_tokenizer
from lrmctl.recipe.load import load_recipe
from lrmctl.recipe.schema.recipes import RlRecipe
from lrmctl.rewards.service.protocol import decode_call
from lrmctl.training.inputs import inputs_of
from lrmctl.training.plan import plan_training
from lrmctl.types import Prompt

TURNS = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)
CLOSES = TURNS + "<think>\n\n</think>\n\n"
SWITCH = TURNS + "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}"
OFF_BY_DEFAULT = (
    TURNS + "{% if enable_thinking is not defined or not enable_thinking %}<think>\n\n</think>\n\n{% endif %}"
)
PLAIN = TURNS
MAGISTRAL = TURNS + "{% if false %}[THINK][/THINK]{% endif %}"
ASKED = Prompt.user("p", "Name a colour.", "benign")
THINKS, ANSWERS = Demonstration(ASKED, "Blue is one.", "Blue."), Demonstration(ASKED, "", "Blue.")


def tokenizer_of(template: str) -> Any:
    tokenizer = load_tokenizer(base_path())
    tokenizer.chat_template = template
    return tokenizer


def response(template: str, row: Demonstration, **how: Any) -> str:
    tokenizer = tokenizer_of(template)
    (made,) = sft_rows(tokenizer, [row], 200, Renderer(tokenizer, **how)).rows
    return made["response"].removesuffix(tokenizer.eos_token)


@pytest.mark.parametrize("template", [CLOSES, OFF_BY_DEFAULT])
def test_a_thought_behind_a_closed_thought_is_refused(template: str) -> None:
    with pytest.raises(RecipeError, match="closes the thought") as caught:
        response(template, THINKS)
    if template == OFF_BY_DEFAULT:
        assert "template_args: {enable_thinking: true}" in caught.value.fix
        assert response(template, THINKS, template_args={"enable_thinking": True}).startswith("<think>\nBlue is one.")


def test_responses_without_a_thought_are_the_answer_where_thinking_is_off() -> None:
    assert response(CLOSES, ANSWERS) == "Blue."
    assert response(SWITCH, ANSWERS, template_args={"enable_thinking": False}) == "Blue."
    assert response(PLAIN, ANSWERS, override="off") == "Blue."


def test_responses_without_a_thought_are_refused_where_the_model_thinks() -> None:
    with pytest.raises(RecipeError, match="has no thinking, and the model thinks") as caught:
        response(SWITCH, ANSWERS)
    assert "enable_thinking: false" in caught.value.fix


def test_a_thought_is_refused_where_the_recipe_says_off() -> None:
    with pytest.raises(RecipeError, match="thinks, and thinking is switched off"):
        response(PLAIN, THINKS, override="off")


def test_responses_have_the_markers_of_the_models_own_format() -> None:
    written = response(MAGISTRAL, THINKS, override={"format": "magistral"})
    assert written.startswith("[THINK]")
    assert "[/THINK]" in written
    assert "<think>" not in written
    own = response(PLAIN, THINKS, override={"open": "<musing>", "close": "</musing>"})
    assert own.startswith("<musing>")


def rollout(template: str, text: str, **how: Any) -> Any:
    tokenizer = tokenizer_of(template)
    (row,) = rl_rows(tokenizer, [ASKED], 200, Renderer(tokenizer, **how)).rows
    end = tokenizer.eos_token
    return decode_call(row["prompt"] + text + end, row["prompt"], row["label"], [end])


@pytest.mark.parametrize(
    ("template", "how", "text", "state"),
    [
        (CLOSES, {}, "Blue.", "off"),
        (SWITCH, {"template_args": {"enable_thinking": False}}, "Blue.", "off"),
        (SWITCH, {"template_args": {"enable_thinking": True}}, "Blue.", "absent"),
        (SWITCH, {}, "<think>\nHm.\n</think>\n\nBlue.", "closed"),
        (SWITCH, {}, "<think>\nHm.", "unclosed"),
        (PLAIN, {"override": "off"}, "Blue.", "off"),
        (MAGISTRAL, {"override": {"format": "magistral"}}, "[THINK]Hm.[/THINK]Blue.", "closed"),
        (PLAIN, {"override": {"open": "<musing>", "close": "</musing>"}}, "<musing>Hm.</musing>Blue.", "closed"),
    ],
)
def test_rollouts_are_split_as_the_policy_thinks(template: str, how: dict[str, Any], text: str, state: str) -> None:
    trace = rollout(template, text, **how)
    assert trace.thinking_state == state
    assert trace.answer == ("" if state == "unclosed" else "Blue.")


def test_rows_that_are_evaluated_on_while_training_say_the_same() -> None:
    tokenizer = tokenizer_of(SWITCH)
    how = Renderer(tokenizer, {"enable_thinking": False})
    (row,) = eval_rows(tokenizer, [ASKED], 200, "reward", ("benign",), how).rows
    assert row["prompt"].endswith("</think>\n\n")
    assert decode_call(row["prompt"] + "Blue.", row["prompt"], row["label"], []).thinking_state == "off"


def recipe_of(folder: Path, template: str, **more: Any) -> Path:
    shutil.copytree(base_path(), folder / "model")
    (folder / "model" / "chat_template.jinja").write_text(template)
    for name, row in {"thinks": {"thinking": "Blue is one."}, "answers": {}}.items():
        rows = [{"prompt": f"Name colour {i}.", "kind": "benign", "answer": "Blue.", **row} for i in range(20)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe: dict[str, Any] = {"kind": "sft", "name": "mixture", "model": str(folder / "model")}
    data = {"max_len": 200, "sources": [{"use": "jsonl", "options": {"path": str(folder / "thinks.jsonl")}}]}
    recipe |= {"data": data, "train": {"epochs": 1, "batch_size": 8}, **more}
    file = folder / "sft.yaml"
    file.write_text(yaml.safe_dump(recipe))
    return file


def answers_of(folder: Path, args: dict[str, Any]) -> dict[str, Any]:
    return {"use": "jsonl", "options": {"path": str(folder / "answers.jsonl")}, "template_args": args}


def test_a_plan_for_a_template_that_closes_the_thought_is_refused(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, OFF_BY_DEFAULT)
    with pytest.raises(RecipeError, match="closes the thought"):
        plan_training(load_recipe(str(recipe)), runs_dir=tmp_path / "runs")
    args = {"template_args": {"enable_thinking": True}}
    plan = plan_training(load_recipe(str(recipe)).override(args, "test"), runs_dir=tmp_path / "runs").backend_plan
    assert any("can think, on" in note for note in plan.notes)


def test_sources_with_and_without_thinking_make_one_mixture(tmp_path: Path) -> None:
    recipe = load_recipe(str(recipe_of(tmp_path, SWITCH)))
    sources = [*yaml.safe_load(recipe.path.read_text())["data"]["sources"]]
    mixed = [*sources, answers_of(tmp_path, {"enable_thinking": False})]
    plan = plan_training(recipe.override({"data.sources": mixed}, "test"), runs_dir=tmp_path / "runs").backend_plan
    (name,) = [name for name in plan.files if name.endswith(".jsonl")]
    rows = [json.loads(line) for line in plan.files[name].splitlines()]
    off = [row for row in rows if row["prompt"].endswith("</think>\n\n")]
    assert (len(rows), len(off)) == (40, 20)
    assert all(row["response"].startswith("Blue.") for row in off)
    assert all(row["response"].startswith("<think>") for row in rows if row not in off)
    with pytest.raises(RecipeError, match="absent"):
        plan_training(recipe.override({"data.sources": [answers_of(tmp_path, {})]}, "test"), runs_dir=tmp_path / "runs")


@pytest.mark.parametrize(
    ("template", "args", "off"),
    [(SWITCH, {"enable_thinking": False}, True), (SWITCH, {}, False), (None, {"enable_thinking": False}, False)],
)
def test_smoke_rows_fit_to_the_tiny_models_template(
    tmp_path: Path, template: str | None, args: dict[str, Any], off: bool
) -> None:
    from lrmctl.smoke.shrink import shrink

    recipe = load_recipe(str(recipe_of(tmp_path, template or SWITCH)))
    if template is None:  # the model is not here: the tiny one has the lab's template, without a switch
        recipe = recipe.override({"model": "nobody/qwen3-none"}, "test")
    sources = [answers_of(tmp_path, args)] if args else yaml.safe_load(recipe.path.read_text())["data"]["sources"]
    small = shrink(recipe.override({"data.sources": sources}, "test"), tmp_path / "small", tmp_path / "runs").loaded
    plan = plan_training(small, runs_dir=tmp_path / "runs").backend_plan
    (name,) = [name for name in plan.files if name.endswith(".jsonl")]
    rows = [json.loads(line) for line in plan.files[name].splitlines()]
    assert rows
    assert all(row["prompt"].endswith("</think>\n\n") == off for row in rows)


def file_of(folder: Path, name: str, *questions: str) -> dict[str, Any]:
    rows = [json.dumps({"prompt": question, "kind": "benign"}) + "\n" for question in questions]
    (folder / name).write_text("".join(rows))
    return {"use": "jsonl", "options": {"path": str(folder / name)}}


def rl_recipe(*sources: dict[str, Any], **rest: Any) -> RlRecipe:
    reward = {"components": [{"use": "format", "options": {"thinking": "optional"}}]}
    given = {"kind": "rl", "name": "r", "model": "lab:tiny", "prompts": sources, "reward": reward, "max_len": 256}
    return RlRecipe.model_validate({**given, "rollout": {"max_new_tokens": 64}, **rest})


def test_a_mixture_of_prompts_has_rows_with_and_without_thinking(tmp_path: Path) -> None:
    thinks, answers = file_of(tmp_path, "a.jsonl", "A?"), file_of(tmp_path, "b.jsonl", "B?")
    recipe = rl_recipe(thinks, {**answers, "template_args": {"enable_thinking": False}})
    rows = inputs_of(recipe, base_path(), tokenizer_of(SWITCH)).rows
    assert rows is not None
    on, off = rows.rows
    assert on["prompt"].endswith("assistant\n")
    assert off["prompt"].endswith("<think>\n\n</think>\n\n")
    states = [decode_call(r["prompt"] + "Blue.", r["prompt"], r["label"], []).thinking_state for r in rows.rows]
    assert states == ["absent", "off"]


def test_a_source_has_its_own_system_message_or_none(tmp_path: Path) -> None:
    kinds = [{}, {"system": "Think of safety."}, {"system": ""}]
    sources = [{**file_of(tmp_path, f"{i}.jsonl", f"Q{i}?"), **kind} for i, kind in enumerate(kinds)]
    recipe = rl_recipe(*sources, system="Be kind.")
    rows = inputs_of(recipe, base_path(), tokenizer_of(PLAIN)).rows
    assert rows is not None
    texts = [row["prompt"] for row in rows.rows]
    assert "<|im_start|>system\nBe kind.<|im_end|>" in texts[0]
    assert "<|im_start|>system\nThink of safety.<|im_end|>" in texts[1]
    assert "system" not in texts[2]
    asked = decode_call(texts[0] + "Blue.", texts[0], rows.rows[0]["label"], []).prompt
    assert [m["role"] for m in asked.messages] == ["user"], "rewards and judges see the prompt as it is in the data"


def test_a_prompts_own_system_message_stays(tmp_path: Path) -> None:
    own = [{"role": "system", "content": "Mine."}, {"role": "user", "content": "Q?"}]
    (tmp_path / "own.jsonl").write_text(json.dumps({"messages": own, "kind": "benign"}))
    source = {"use": "jsonl", "options": {"path": str(tmp_path / "own.jsonl")}, "system": "Other."}
    rows = inputs_of(rl_recipe(source), base_path(), tokenizer_of(PLAIN)).rows
    assert rows is not None
    assert "Mine." in rows.rows[0]["prompt"]
    assert "Other." not in rows.rows[0]["prompt"]


def test_demonstrations_are_rendered_with_their_sources_system_message() -> None:
    tokenizer = tokenizer_of(PLAIN)
    rows = [replace(THINKS, system="Mine."), THINKS]
    texts = [row["prompt"] for row in sft_rows(tokenizer, rows, 200, Renderer(tokenizer, system="All.")).rows]
    assert ["Mine." in text for text in texts] == [True, False]
    assert ["All." in text for text in texts] == [False, True]


def test_earlier_turns_of_an_rl_prompt_are_rendered_and_not_trained(tmp_path: Path) -> None:
    turns = ["A?", "One.", "And?"]
    messages = [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(turns)]
    (tmp_path / "turns.jsonl").write_text(json.dumps({"messages": messages, "kind": "benign"}))
    source = {"use": "jsonl", "options": {"path": str(tmp_path / "turns.jsonl")}}
    rows = inputs_of(rl_recipe(source), base_path(), tokenizer_of(PLAIN)).rows
    assert rows is not None
    (row,) = rows.rows
    assert row["prompt"].endswith("user\nAnd?<|im_end|>\n<|im_start|>assistant")
    assert "assistant\nOne.<|im_end|>" in row["prompt"]
    assert len(decode_call(row["prompt"] + "Two.", row["prompt"], row["label"], []).prompt.messages) == 3


def test_words_that_turn_thinking_off_are_seen_in_training_too() -> None:
    tokenizer = tokenizer_of(SWITCH)
    asked = Prompt.user("p", "Name a colour. /no_think", "benign")
    (row,) = rl_rows(tokenizer, [asked], 200).rows
    text = "<think>\n\n</think>\n\nBlue."
    trace = decode_call(row["prompt"] + text, row["prompt"], row["label"], [])
    assert (trace.thinking_state, trace.irregular, trace.answer) == ("off", (), "Blue.")
