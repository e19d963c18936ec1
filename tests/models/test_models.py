"""A model is found by folder, run or lab name, from any working folder; what is none says so."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lrmctl.errors import NotFoundError
from lrmctl.lab import base_path
from lrmctl.models import fingerprint, load_tokenizer, resolve_model


def test_a_relative_folder_and_a_run_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(base_path(), "runs/first/model")
    expected = tmp_path / "runs/first/model"
    assert resolve_model("runs/first/model", Path("runs")) == expected
    assert resolve_model("run:first", Path("runs")) == expected
    assert resolve_model("lab:tiny", Path("runs")).is_absolute()


@pytest.mark.parametrize("ref", ["./nowhere", "run:nowhere", "nowhere", "a/b/c"])
def test_what_is_no_model_is_one_clear_error(ref, tmp_path):
    with pytest.raises(NotFoundError, match="no model"):
        resolve_model(ref, tmp_path)


def test_a_folder_without_a_checkpoint_is_no_model(tmp_path):
    with pytest.raises(NotFoundError, match=r"config\.json"):
        resolve_model(str(tmp_path), tmp_path)


def test_the_fingerprint_follows_weights_and_template(tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(base_path(), copy)
    assert fingerprint(copy) == fingerprint(base_path())
    (copy / "chat_template.jinja").write_text("{{ messages }}")
    assert fingerprint(copy) != fingerprint(base_path())


def test_the_short_way_to_a_tokenizer_gives_the_one_that_transformers_chooses() -> None:
    from transformers import AutoTokenizer

    short, chosen = load_tokenizer(base_path()), AutoTokenizer.from_pretrained(base_path())
    assert type(short) is type(chosen)
    assert short.backend_tokenizer.to_str() == chosen.backend_tokenizer.to_str()
    assert (short.chat_template, short.special_tokens_map) == (chosen.chat_template, chosen.special_tokens_map)
