"""A folder that is no model is one sentence that says what it is and what to do, never a bug in lrmctl."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from lrmctl.lab import base_path

Break = Callable[[Path], Any]


def config(**changes: Any) -> Break:
    def change(folder: Path) -> None:
        known = {**json.loads((folder / "config.json").read_text()), **changes}
        (folder / "config.json").write_text(json.dumps({k: v for k, v in known.items() if v is not None}))

    return change


def written(name: str, text: str | bytes) -> Break:
    def change(folder: Path) -> None:
        data = text.encode() if isinstance(text, str) else text
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)

    return change


def without(*names: str) -> Break:
    return lambda folder: [file.unlink() for name in names for file in folder.glob(name)]


def only(name: str, text: str = "{}") -> Break:
    return both(without("*"), written(name, text))


def both(*changes: Break) -> Break:
    return lambda folder: [change(folder) for change in changes]


def cut(name: str, size: int) -> Break:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


def a_tensor_less(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors[next(name for name in tensors if "down_proj" in name)]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def of_another_width(folder: Path) -> None:
    config(hidden_size=json.loads((folder / "config.json").read_text())["hidden_size"] * 2)(folder)


INDEX = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
SHARD = {"head": b"\x02\x00\x00\x00\x00\x00\x00\x00{}"}

BROKEN: dict[str, tuple[Break, str]] = {
    "empty folder": (without("*"), "empty folder"),
    "GGUF folder": (only("model-Q4_1.gguf", "GGUF"), "GGUF"),
    "GGUF with a tokenizer": (both(without("config.json", "*.safetensors"), written("m.gguf", "GGUF")), "GGUF"),
    "GGUF with a configuration": (both(without("*.safetensors"), written("m.gguf", "GGUF")), "GGUF"),
    "no weights": (without("*.safetensors"), "has no weights"),
    "no configuration": (without("config.json"), "has no config.json"),
    "no tokenizer": (without("tokenizer*"), "has no tokenizer"),
    "no template": (without("*.jinja"), "no chat template"),
    "weights cut off": (cut("model.safetensors", 10_000), "damaged weight file"),
    "weights cut in the head": (cut("model.safetensors", 100), "damaged weight file"),
    "weights of no bytes": (written("model.safetensors", b""), "is empty"),
    "weights that are text": (written("model.safetensors", "<html>404</html>"), "damaged weight file"),
    "weights that are a pointer": (
        written("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
        "Git LFS pointer",
    ),
    "one tensor less": (a_tensor_less, "incomplete"),
    "weights of another width": (of_another_width, "cannot be loaded"),
    "pickle that is text": (both(without("*.safetensors"), written("pytorch_model.bin", "x")), "no file of PyTorch"),
    "pickle cut off": (both(without("*.safetensors"), written("pytorch_model.bin", b"PK\3\4x")), "cannot be loaded"),
    "missing shards": (
        both(without("*.safetensors"), written("model.safetensors.index.json", json.dumps(INDEX))),
        "lacks model-00001-of-00002.safetensors, 2 of the 2 shards",
    ),
    "one missing shard": (
        both(
            without("*.safetensors"),
            written("model.safetensors.index.json", json.dumps(INDEX)),
            written("model-00001-of-00002.safetensors", SHARD["head"]),
        ),
        "lacks model-00002-of-00002.safetensors, 1 of the 2 shards",
    ),
    "an index that is cut off": (
        both(without("*.safetensors"), written("model.safetensors.index.json", '{"weight_map": {')),
        "damaged index",
    ),
    "an index without shards": (
        both(without("*.safetensors"), written("model.safetensors.index.json", "{}")),
        "names no weights",
    ),
    "configuration cut off": (cut("config.json", 40), "damaged configuration"),
    "configuration that is a list": (written("config.json", "[]"), "no JSON object"),
    "configuration in UTF-16": (written("config.json", "{}".encode("utf-16")), "damaged configuration"),
    "configuration nested without end": (written("config.json", '{"a":' * 100_000), "damaged configuration"),
    "no model_type": (config(model_type=None), "without model_type"),
    "unknown model_type": (config(model_type="llama9"), "type 'llama9', which transformers"),
    "numbers that are words": (config(hidden_size="wide"), "cannot be loaded"),
    "numbers that are negative": (config(num_hidden_layers=-1), ""),
    "encoder": (config(model_type="bert", architectures=["BertForMaskedLM"]), "not a causal language model"),
    "classifier": (config(architectures=["LlamaForSequenceClassification"]), "not a causal language model"),
    "headless": (config(architectures=["LlamaModel"]), "not a causal language model"),
    "encoder and decoder": (
        config(model_type="t5", architectures=["T5ForConditionalGeneration"], is_encoder_decoder=True),
        "not a causal language model",
    ),
    "vision": (config(model_type="clip", architectures=["CLIPModel"]), "not a causal language model"),
    "speech": (
        config(model_type="whisper", architectures=["WhisperForConditionalGeneration"]),
        "not a causal language model",
    ),
    "tokenizer cut off": (cut("tokenizer.json", 500), "tokenizer cannot be loaded"),
    "tokenizer that is a list": (written("tokenizer.json", "[]"), "tokenizer cannot be loaded"),
    "tokenizer configuration cut off": (cut("tokenizer_config.json", 20), "tokenizer cannot be loaded"),
    "template that is cut off": (written("chat_template.jinja", "{% for m in messages %}"), "chat template cannot"),
    "template that raises": (written("chat_template.jinja", "{{ 1 / 0 }}"), "chat template cannot"),
    "generation config cut off": (written("generation_config.json", "{"), "generation_config.json"),
    "makers' own format": (only("consolidated.00.pth"), "format of its makers"),
    "ONNX": (only("model.onnx"), "ONNX"),
    "TensorFlow": (both(without("*.safetensors"), written("tf_model.h5", "x")), "TensorFlow"),
    "Flax": (both(without("*.safetensors"), written("flax_model.msgpack", "x")), "Flax"),
    "diffusers": (only("model_index.json"), "image model"),
    "sentence encoder": (only("modules.json"), "sentence encoder"),
    "a variant only": (lambda f: (f / "model.safetensors").rename(f / "model.fp16.safetensors"), "one variant only"),
    "another name": (lambda f: (f / "model.safetensors").rename(f / "my.safetensors"), "nothing points to"),
    "in a folder below": (
        both(
            lambda f: shutil.copytree(f, f.parent / "inner"),
            without("*"),
            lambda f: (f.parent / "inner").rename(f / "inner"),
        ),
        "a folder in it has",
    ),
    "of text files": (only("notes.txt", "x"), "has no config.json"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_folder_is_one_sentence_with_the_fix(kind: str, copy: Path, lrmctl: Any) -> None:
    change, said = BROKEN[kind]
    change(copy)
    done = lrmctl("eval", copy, "--recipe", "eval.yaml")
    assert done.code == 2, done.err
    assert said in " ".join(done.err.split())
    assert "fix:" in done.err
    assert "bug in lrmctl" not in done.err


@pytest.mark.parametrize("name", ["model.gguf", "model.safetensors", "config.json"])
def test_a_file_in_place_of_a_folder_says_so(name: str, copy: Path, lrmctl: Any) -> None:
    (copy / name).touch()
    for ref in (copy / name, f"copy/{name}"):  # the second looks like a hub id
        done = lrmctl("eval", ref, "--recipe", "eval.yaml")
        assert done.code == 2
        assert ("GGUF" if name.endswith("gguf") else "is a file, not a folder") in " ".join(done.err.split())


@pytest.mark.parametrize("where", ["in the folder", "the file"])
def test_a_gguf_file_is_told_the_command_that_imports_it(where: str, copy: Path, lrmctl: Any, tmp_path: Path) -> None:
    only("model-Q4_1.gguf", "GGUF")(copy)
    ref = copy if where == "in the folder" else copy / "model-Q4_1.gguf"
    command = f"lrmctl model import {copy}/model-Q4_1.gguf model-Q4_1"
    (tmp_path / "sft.yaml").write_text(SFT.format(model=ref))
    for words in (("train", "sft.yaml", "--dry-run"), ("eval", ref, "--recipe", "eval.yaml")):
        done = lrmctl(*words)
        assert (done.code, done.err.strip().endswith(command)) == (2, True), done.err


SFT = """
kind: sft
name: small
model: {model}
data: {{max_len: 256, sources: [{{use: lab-teacher, options: {{n: 16}}}}]}}
"""


@pytest.mark.parametrize(
    "kind", ["GGUF folder", "unknown model_type", "weights cut off", "tokenizer cut off", "encoder"]
)
@pytest.mark.parametrize("how", [("--dry-run",), ()])
def test_training_says_the_same(kind: str, how: tuple[str, ...], copy: Path, lrmctl: Any, tmp_path: Path) -> None:
    change, said = BROKEN[kind]
    change(copy)
    (tmp_path / "sft.yaml").write_text(SFT.format(model=copy))
    done = lrmctl("train", "sft.yaml", *how)
    assert done.code == 2, done.err
    assert said in " ".join(done.err.split())


def test_a_judge_and_a_reward_model_say_the_same(copy: Path, lrmctl: Any, tmp_path: Path) -> None:
    without("*.safetensors")(copy)
    recipe = (tmp_path / "eval.yaml").read_text()
    (tmp_path / "eval.yaml").write_text(
        recipe.replace("judge: refusal-phrases", f"judge: wildguard\n  judge_options: {{model: {copy}}}")
    )
    done = lrmctl("eval", base_path(), "--recipe", "eval.yaml")
    assert done.code == 2, done.err
    assert "has no weights" in " ".join(done.err.split())
