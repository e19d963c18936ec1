"""A GGUF file becomes the folder that it was made from: weights, tokens, end of text, licence."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_gguf import write_gguf

from lrmctl.errors import LrmctlError, NotFoundError
from lrmctl.lab import base_path
from lrmctl.models import end_of_text, fingerprint, load_model, load_tokenizer, resolve_model
from lrmctl.models.importing import ImportOptions, import_model
from lrmctl.models.importing.checks import logits_of, tokens_of

SMOLLM2 = os.environ.get("LRMCTL_SMOLLM2_GGUF", "")


@pytest.mark.parametrize(
    ("kind", "dtype", "close"), [("F32", "float32", 0), ("F16", "float16", 0.1), ("Q8_0", "float32", 1)]
)
def test_a_file_becomes_the_model_that_it_was_made_from(kind: str, dtype: str, close: float, tmp_path: Path) -> None:
    manifest = import_model(str(write_gguf(tmp_path / "a.gguf", kind=kind)), tmp_path / "out")
    base, tokenizer = load_model(base_path()), load_tokenizer(base_path())
    found = load_model(tmp_path / "out")
    difference = (logits_of(found, tokenizer) - logits_of(base, tokenizer)).abs().max().item()
    assert difference <= close
    assert (close == 0) == all(torch.equal(a, b) for a, b in zip(found.parameters(), base.parameters(), strict=True))
    assert (manifest["dtype"], manifest["parameters"]) == (dtype, sum(p.numel() for p in base.parameters()))
    assert any("quantized" in note for note in manifest["notes"]) == (kind == "Q8_0")


def test_the_tokenizer_is_the_original_one_with_its_think_tags(tmp_path: Path) -> None:
    import_model(str(write_gguf(tmp_path / "a.gguf")), tmp_path / "out")
    found, base = load_tokenizer(tmp_path / "out"), load_tokenizer(base_path())
    same = [a == b for a, b in zip(tokens_of(found), tokens_of(base), strict=True)]
    assert same == [True, True, False, True, True, True]  # the lab splits indents in its own way
    assert found.encode("<think>") == base.encode("<think>")
    assert found.decode(found.encode("<think>a<|im_end|>"), skip_special_tokens=True) == "<think>a"
    assert (found.chat_template, found.pad_token) == (base.chat_template, base.pad_token)
    assert (found.model_max_length, len(found)) == (512, len(base))


def test_a_wrong_end_of_text_is_set_right_everywhere(tmp_path: Path) -> None:
    manifest = import_model(str(write_gguf(tmp_path / "a.gguf", eos=1)), tmp_path / "out")
    found = end_of_text(load_tokenizer(tmp_path / "out"), tmp_path / "out")
    assert (found.tokenizer, found.template, found.generation) == ("<|im_end|>", "<|im_end|>", ("<|im_end|>",))
    assert json.loads((tmp_path / "out/config.json").read_text())["eos_token_id"] == 2
    end = manifest["end_of_text"]
    assert (end["token"], end["source_named"]) == ("<|im_end|>", "<|im_start|>")
    assert "chat template" in end["why"]
    out = tmp_path / "out"
    assert manifest["fingerprint"] == fingerprint(resolve_model(str(out), tmp_path))
    assert manifest == json.loads((out / "manifest.json").read_text())


def test_another_end_that_the_file_names_still_ends_a_completion(tmp_path: Path) -> None:
    import_model(str(write_gguf(tmp_path / "a.gguf", eos=0)), tmp_path / "out")
    assert json.loads((tmp_path / "out/generation_config.json").read_text())["eos_token_id"] == [2, 0]


def test_files_beside_it_play_no_part(tmp_path: Path) -> None:
    shutil.copytree(base_path(), tmp_path / "in")
    for name in ("config.json", "tokenizer.json", "generation_config.json", "adapter_config.json"):
        (tmp_path / "in" / name).write_text('{"model_type": "bert"}')
    import_model(str(write_gguf(tmp_path / "in/a.gguf")), tmp_path / "out")
    assert torch.equal(load_model(tmp_path / "out").lm_head.weight, load_model(base_path()).lm_head.weight)


@pytest.mark.parametrize(
    ("rule", "text", "pieces"),
    [
        ("llama-bpe", "a 12345", ["a", "Ġ", "123", "45"]),
        ("qwen2", "a 123", ["a", "Ġ", "1", "2", "3"]),
        ("smollm", "a 123", ["a", "Ġ", "1", "2", "3"]),
        ("gpt-2", "a 123", ["a", "Ġ123"]),
    ],
)
def test_numbers_are_split_as_the_file_says(rule: str, text: str, pieces: list[str]) -> None:
    from lrmctl.models.importing.pre_tokenizers import known, pre_tokenizer

    assert [piece for piece, _ in pre_tokenizer(rule).pre_tokenize_str(text)] == pieces
    assert known(rule)


def test_a_rule_that_is_not_known_is_a_note(tmp_path: Path) -> None:
    manifest = import_model(str(write_gguf(tmp_path / "a.gguf", pre="new-rule")), tmp_path / "out")
    assert any("'new-rule'" in note for note in manifest["notes"])


def test_a_folder_that_holds_one_file_is_that_file_and_of_several_one_is_chosen(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_gguf(tmp_path / "in/a.gguf")
    assert import_model(str(tmp_path / "in"), tmp_path / "out")["source"]["kind"] == "GGUF file"
    shutil.copy(tmp_path / "in/a.gguf", tmp_path / "in/b.gguf")
    with pytest.raises(NotFoundError, match="holds 2 GGUF files") as raised:
        import_model(str(tmp_path / "in"), tmp_path / "other")
    assert raised.value.fix.endswith(f"lrmctl model import {tmp_path}/in/a.gguf a")


def truncate(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


BROKEN: dict[str, tuple[dict[str, Any], Callable[[Path], object], str]] = {
    "cut in the weights": ({}, lambda path: truncate(path, 900_000), "cannot be read"),
    "cut in the metadata": ({}, lambda path: truncate(path, 3_000), "cannot be read"),
    "empty": ({}, lambda path: truncate(path, 0), "cannot be read"),
    "text": ({}, lambda path: path.write_text("not found"), "cannot be read"),
    "one part of several": ({"split__count": 3}, lambda _: None, "one part of a GGUF file"),
    "an architecture that transformers does not know": (
        {"architecture": "llama9"},
        lambda _: None,
        "cannot be converted",
    ),
    "no template": ({"template": None}, lambda _: None, "has no chat template"),
    "a template that fails": ({"template": "{{ 1 / 0 }}"}, lambda _: None, "template cannot render"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_file_that_is_none_is_one_sentence_and_writes_nothing(kind: str, lrmctl: Any, tmp_path: Path) -> None:
    fields, change, said = BROKEN[kind]
    change(write_gguf(tmp_path / "a.gguf", **fields))
    done = lrmctl("model", "import", "a.gguf", "out")
    assert done.code == 2, done.err
    assert said in " ".join(done.err.split())
    assert "fix:" in done.err
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith("out")]


def test_the_package_that_is_missing_is_named_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_gguf(tmp_path / "a.gguf")
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(LrmctlError, match="not installed") as raised:
        import_model(str(file), tmp_path / "out")
    assert "pip install 'lrmctl[gguf]'" in raised.value.fix


@pytest.mark.slow
@pytest.mark.skipif(not SMOLLM2, reason="LRMCTL_SMOLLM2_GGUF names no file")
def test_a_real_file_answers_and_ends_its_answer(tmp_path: Path) -> None:
    manifest = import_model(SMOLLM2, tmp_path / "out", ImportOptions(dtype="bfloat16"))
    assert (manifest["parameters"], manifest["licence"]["name"]) == (134_515_008, "apache-2.0")
    assert manifest["end_of_text"]["token"] == "<|im_end|>"
    assert manifest["notes"] == [note for note in manifest["notes"] if "quantized" in note]
    tokenizer, model = load_tokenizer(tmp_path / "out"), load_model(tmp_path / "out")
    asked = [{"role": "user", "content": "What is the capital of France?"}]
    text = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    ids = tokenizer(text, return_tensors="pt")
    answer = tokenizer.decode(model.generate(**ids, max_new_tokens=32, do_sample=False)[0][ids["input_ids"].shape[1] :])
    assert "Paris" in answer
    assert answer.endswith("<|im_end|>")
