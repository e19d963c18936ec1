"""Whole repositories, as the hub has them, are fetched, loaded and known again, whatever their files are called."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hub_server import RECIPE, Hub
from safetensors.torch import load_file, save_file

from lrmctl.errors import NotFoundError
from lrmctl.lab import base_path
from lrmctl.models import fingerprint, load_model, load_tokenizer, resolve_model


def rename_shards(folder: Path) -> None:
    """Shards of odd names, one of them in a folder."""
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    (folder / "parts").mkdir()
    names = {
        old: ("parts/" if i == 0 else "") + f"layers of {i}.safetensors"
        for i, old in enumerate(sorted(set(index["weight_map"].values())))
    }
    for old, new in names.items():
        (folder / old).rename(folder / new)
    index["weight_map"] = {key: names[value] for key, value in index["weight_map"].items()}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def pytorch_only(folder: Path) -> None:
    one_file(folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def one_file(folder: Path) -> None:
    shutil.copy(base_path() / "model.safetensors", folder)
    for file in folder.glob("*-of-*"):
        file.unlink()
    (folder / "model.safetensors.index.json").unlink()


def in_many_formats(folder: Path) -> None:
    """What repositories keep beside the weights that are loaded."""
    for name in (
        "pytorch_model-00001-of-00001.bin",
        "pytorch_model.bin.index.json",
        "consolidated.safetensors",
        "consolidated.00.pth",
        "model.fp16.safetensors",
        "original/consolidated.00.pth",
        "original/tokenizer.model",
        "metal/model.bin",
        "onnx/model.onnx",
        "model-q4.gguf",
        "tf_model.h5",
        "flax_model.msgpack",
        "checkpoint-500/model.safetensors",
        "training_args.bin",
        "optimizer.pt",
        "picture.png",
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"never to be fetched")


def named_by_the_configuration(folder: Path) -> None:
    one_file(folder)
    (folder / "model.safetensors").rename(folder / "mine.safetensors")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "transformers_weights": "mine.safetensors"}))


KINDS: list[Callable[[Path], None]] = [
    lambda _: None,
    one_file,
    rename_shards,
    pytorch_only,
    in_many_formats,
    named_by_the_configuration,
]


@pytest.mark.parametrize("change", KINDS)
def test_a_repository_is_loaded_and_is_the_same_model_as_its_folder(
    change: Callable[[Path], None], hub: Hub, sharded: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "repository"
    shutil.copytree(sharded, folder)
    change(folder)
    hub.folders["me/model"] = folder
    found = resolve_model("me/model", tmp_path)
    assert not any((found / name).read_bytes() == b"never to be fetched" for name in hub.fetched)
    assert fingerprint(found) == fingerprint(folder)
    assert load_tokenizer(found).chat_template == load_tokenizer(base_path()).chat_template
    loaded, base = load_model(found).state_dict(), load_model(base_path()).state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in base.items())


@pytest.mark.parametrize(
    "name",
    [
        "vocab.json",
        "merges.txt",
        "vocab.txt",
        "added_tokens.json",
        "special_tokens_map.json",
        "tokenizer.model",
        "spiece.model",
        "sentencepiece.bpe.model",
        "tekken.json",
        "qwen.tiktoken",
        "tiktoken.model",
        "chat_template.json",
        "additional_chat_templates/tools.jinja",
        "generation_config.json",
    ],
)
def test_what_changes_prompts_is_fetched_and_changes_the_fingerprint(
    name: str, hub: Hub, copy: Path, tmp_path: Path
) -> None:
    before = fingerprint(copy)
    (copy / name).parent.mkdir(exist_ok=True)
    (copy / name).write_text("{}")
    hub.folders["me/model"] = copy
    found = resolve_model("me/model", tmp_path)
    assert (found / name).read_text() == "{}"
    assert fingerprint(found) == fingerprint(copy) != before


@pytest.mark.parametrize(
    "name", ["README.md", "LICENSE", "trainer_state.json", "training_args.bin", "all_results.json", "picture.png"]
)
def test_what_changes_nothing_is_no_part_of_the_fingerprint(name: str, copy: Path) -> None:
    before = fingerprint(copy)
    (copy / name).write_text("x")
    assert fingerprint(copy) == before


def test_a_model_of_plain_files_has_the_fingerprint_that_it_always_had() -> None:
    assert fingerprint(base_path()) == "efc9fd0125616888", "stores of completions would not be found again"


def test_a_repository_that_lacks_a_shard_says_so_before_any_is_fetched(hub: Hub, sharded: Path, tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    shutil.copytree(sharded, folder)
    lost = sorted(folder.glob("*.safetensors"))[1]
    lost.unlink()
    hub.folders["me/model"] = folder
    with pytest.raises(NotFoundError, match=lost.name):
        resolve_model("me/model", tmp_path)
    assert not [name for name in hub.fetched if name.endswith(".safetensors")]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["model-Q4.gguf"], "GGUF"),
        (["consolidated.safetensors", "params.json", "tekken.json"], "format of its makers"),
        (["config.json", "onnx/model.onnx"], "ONNX"),
        (["README.md"], "no weights"),
    ],
)
def test_a_repository_that_holds_no_such_model_says_what_it_holds(
    files: list[str], said: str, hub: Hub, tmp_path: Path
) -> None:
    folder = tmp_path / "repository"
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    hub.folders["me/model"] = folder
    with pytest.raises(NotFoundError, match=said):
        resolve_model("me/model", tmp_path)


def test_a_model_that_was_fetched_is_there_without_the_hub(hub: Hub, sharded: Path, tmp_path: Path) -> None:
    hub.folders["me/model"] = sharded
    found = resolve_model("me/model", tmp_path)
    hub.folders.clear()
    assert resolve_model("me/model", tmp_path) == found


@pytest.mark.e2e
def test_a_sharded_model_of_the_hub_is_evaluated(hub: Hub, sharded: Path, tmp_path: Path) -> None:
    hub.folders["me/sharded"] = sharded
    (tmp_path / "eval.yaml").write_text(RECIPE)
    (tmp_path / "prompts.csv").write_text("prompt,kind\nhow do I read hazard-3?,harmful\n")
    env = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
    words = [sys.executable, "-m", "lrmctl", "eval", "me/sharded", "--recipe", "eval.yaml"]
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode in (0, 1), done.stderr
    summary = json.loads((tmp_path / "runs/me-sharded/eval/summary.json").read_text())
    assert summary["fingerprint"] == fingerprint(sharded)


def test_weights_that_are_missing_are_never_drawn_at_random(copy: Path) -> None:
    tensors = load_file(copy / "model.safetensors")
    lost = next(name for name in tensors if "down_proj" in name)
    del tensors[lost]
    save_file(tensors, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(Exception, match="incomplete"):
        load_model(copy)
