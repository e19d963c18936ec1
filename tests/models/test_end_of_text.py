"""What the tokenizer, the template and the generation config end a text with is compared, told and kept to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lrmctl.data.render import render_response
from lrmctl.errors import LrmctlError
from lrmctl.lab import base_path
from lrmctl.models import end_of_text, eos_ids, load_model, load_tokenizer, prepare
from lrmctl.training.reward_service import end_tokens

SFT = "kind: sft\nname: small\nmodel: {}\ndata: {{max_len: 256, sources: [{{use: lab-teacher}}]}}\n"


def tokenizer_with(folder: Path, eos: str) -> Any:
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "eos_token": eos}))
    return load_tokenizer(folder)


@pytest.fixture
def converted(copy: Path) -> Path:
    """As a converted GGUF file: the end of text is what begins a turn."""
    tokenizer_with(copy, "<|im_start|>")
    (copy / "generation_config.json").write_text("{}")
    return copy


def test_a_model_in_order_has_no_note() -> None:
    assert end_of_text(load_tokenizer(base_path()), base_path()).note == ""


def test_a_demonstration_ends_with_what_the_template_writes(converted: Path) -> None:
    tokenizer = load_tokenizer(converted)
    assert render_response(tokenizer, "", "Blue.", opened=True).endswith("Blue.<|im_end|>")


def test_generation_and_the_reward_service_know_every_end(converted: Path) -> None:
    tokenizer = load_tokenizer(converted)
    ends = {"<|im_start|>", "<|im_end|>"}
    assert {tokenizer.convert_ids_to_tokens(i) for i in eos_ids(load_model(converted), tokenizer)} >= ends
    assert set(end_tokens(converted, tokenizer)) == ends


@pytest.mark.parametrize(
    ("template", "end"),
    [
        ("{% for m in messages %}{{ m.content }}<|im_end|>\n{% endfor %}", "<|im_end|>"),
        ("{% for m in messages %}{{ m.content }} <|im_end|>{% endfor %}", "<|im_end|>"),
        ("{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}", "<|im_start|>"),
        ("{% for m in messages %}{{ m.content }}\n{% endfor %}", ""),
        ("{% for m in messages %}{{ m.content }}</s>{% endfor %}", ""),
        ("{% for m in messages %}{{ m.content }}{% if not loop.last %}<|im_end|>{% endif %}{% endfor %}", ""),
        ("{{ messages[0].content }}", ""),
        ("{{ raise_exception('no') }}", ""),
    ],
)
def test_the_end_of_a_turn_is_read_from_what_the_template_writes(template: str, end: str, converted: Path) -> None:
    (converted / "chat_template.jinja").write_text(template)
    assert end_of_text(load_tokenizer(converted)).template == end


def test_nothing_that_ends_a_text_is_an_error(copy: Path) -> None:
    tokenizer = load_tokenizer(copy)
    tokenizer.eos_token, tokenizer.chat_template = None, "{{ messages[0].content }}"
    with pytest.raises(LrmctlError, match="names an end of text"):
        render_response(tokenizer, "", "Blue.", opened=True)


def test_a_dry_run_and_an_evaluation_tell_of_it(converted: Path, lrmctl: Any, tmp_path: Path) -> None:
    (tmp_path / "sft.yaml").write_text(SFT.format(converted))
    said = "ends an assistant's turn with <|im_end|>, the tokenizer names <|im_start|> as end of text"
    plan = lrmctl("train", "sft.yaml", "--dry-run")
    assert plan.code == 0, plan.err
    assert said in " ".join((plan.out + plan.err).split())
    done = lrmctl("eval", converted, "--recipe", "eval.yaml", "--name", "converted")
    assert done.code in (0, 1), done.err  # 1: findings, such as thoughts that four tokens cannot close
    assert said in " ".join(done.err.split())
    summary = json.loads((tmp_path / "runs/converted/eval/summary.json").read_text())
    assert any(said in warning for warning in summary["warnings"])


def test_a_trainer_gets_a_tokenizer_that_ends_as_the_template_does(converted: Path, tmp_path: Path) -> None:
    before = {file.name: file.read_bytes() for file in converted.iterdir()}
    folder = prepare(converted, tmp_path / "start", load_tokenizer(converted))
    tokenizer = load_tokenizer(folder)
    assert tokenizer.eos_token == "<|im_end|>"
    assert end_of_text(tokenizer, folder).note == ""
    assert tokenizer.chat_template == load_tokenizer(converted).chat_template
    assert tokenizer("a text<|im_end|>")["input_ids"] == load_tokenizer(converted)("a text<|im_end|>")["input_ids"]
    assert load_model(folder).generation_config.eos_token_id[0] == tokenizer.eos_token_id
    assert {file.name: file.read_bytes() for file in converted.iterdir()} == before, (
        "the model's own folder was written"
    )


def test_a_trainer_gets_the_folder_itself_where_nothing_has_to_be_changed(copy: Path, tmp_path: Path) -> None:
    assert prepare(copy, tmp_path / "start", load_tokenizer(copy)) == copy
    assert not (tmp_path / "start").exists()
