"""Folders, repositories of the hub, adapters and runs become one whole folder each; templates and ends are set."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hub_server import COMMIT, Hub
from safetensors.torch import load_file
from tiny_gguf import write_gguf

from lrmctl.errors import LrmctlError, NotFoundError
from lrmctl.lab import base_path
from lrmctl.models import end_of_text, fingerprint, load_model, load_tokenizer
from lrmctl.models.importing import ImportOptions, import_model


def change(file: Path, **changes: Any) -> None:
    known = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps({key: value for key, value in known.items() if value is not None}))


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


@pytest.mark.parametrize("kind", ["one file", "sharded", "pickled"])
def test_a_folder_is_written_as_the_same_model(kind: str, copy: Path, sharded: Path, tmp_path: Path) -> None:
    source = sharded if kind == "sharded" else copy
    if kind == "pickled":
        pickled(copy)
    manifest = import_model(str(source), tmp_path / "out")
    out = tmp_path / "out"
    assert (out / "model.safetensors").is_file()
    assert not list(out.glob("*.bin"))
    base, found = load_model(base_path()).state_dict(), load_model(out).state_dict()
    assert all(torch.equal(found[name], value) for name, value in base.items())
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (out / name).read_bytes() == (source / name).read_bytes()
    assert manifest["source"] == {"reference": str(source), "kind": "folder", "fingerprint": fingerprint(source)}
    assert manifest["licence"]["name"] == "unknown"
    assert (out / "model.safetensors").stat().st_mode == (out / "config.json").stat().st_mode


def test_the_end_of_text_of_a_converted_folder_is_set_right(copy: Path, tmp_path: Path) -> None:
    change(copy / "tokenizer_config.json", eos_token="<|im_start|>")
    (copy / "special_tokens_map.json").write_text('{"eos_token": {"content": "<|im_start|>"}}')
    change(copy / "generation_config.json", eos_token_id=[1, 0], temperature=0.6, do_sample=False)
    manifest = import_model(str(copy), tmp_path / "out")
    found = end_of_text(load_tokenizer(tmp_path / "out"), tmp_path / "out")
    assert (found.tokenizer, found.generation) == ("<|im_end|>", ("<|im_end|>", "<|endoftext|>"))
    assert manifest["end_of_text"]["source_named"] == "<|im_start|>"
    assert json.loads((tmp_path / "out/generation_config.json").read_text())["temperature"] == 0.6
    assert json.loads((copy / "tokenizer_config.json").read_text())["eos_token"] == "<|im_start|>"


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_weights_are_written_in_another_precision(dtype: Any, tmp_path: Path) -> None:
    manifest = import_model("lab:tiny", tmp_path / "out", ImportOptions(dtype=dtype))
    assert manifest["dtype"] == dtype
    assert {str(w.dtype) for w in load_file(tmp_path / "out/model.safetensors").values()} == {f"torch.{dtype}"}
    assert json.loads((tmp_path / "out/config.json").read_text())["dtype"] == dtype


class TestTemplates:
    def test_a_model_without_one_is_told_the_option(self, copy: Path, tmp_path: Path) -> None:
        (copy / "chat_template.jinja").unlink()
        with pytest.raises(LrmctlError, match="no chat template") as raised:
            import_model(str(copy), tmp_path / "out")
        assert "--set-template FILE" in raised.value.fix
        assert "chatml|llama-3|plain" in raised.value.fix

    @pytest.mark.parametrize("name", ["chatml", "plain"])
    def test_one_is_set_by_name_with_its_end(self, name: str, copy: Path, tmp_path: Path) -> None:
        change(copy / "tokenizer_config.json", eos_token="<|endoftext|>", chat_template="{{ 'old' }}")
        manifest = import_model(str(copy), tmp_path / "out", ImportOptions(template=name))
        tokenizer = load_tokenizer(tmp_path / "out")
        asked = [{"role": "user", "content": "What?"}]
        text = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
        assert text.endswith("<|im_start|>assistant\n" if name == "chatml" else "Assistant:\n")
        assert tokenizer.eos_token == ("<|im_end|>" if name == "chatml" else "<|endoftext|>")
        assert manifest["chat_template"]["from"] == f"--set-template {name}"

    def test_one_is_set_from_a_file_for_a_gguf_file(self, tmp_path: Path) -> None:
        file = tmp_path / "mine.jinja"
        file.write_text("{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}{% endfor %}")
        source = write_gguf(tmp_path / "a.gguf", template=None, eos=0)
        import_model(str(source), tmp_path / "out", ImportOptions(template=str(file)))
        assert load_tokenizer(tmp_path / "out").chat_template == file.read_text()
        assert load_tokenizer(tmp_path / "out").eos_token == "<|endoftext|>"

    @pytest.mark.parametrize("text", ["{% for m in messages %}{{ m.content }}\n{% endfor %}", "llama-3"])
    def test_one_that_never_ends_a_turn_is_refused(self, text: str, copy: Path, tmp_path: Path) -> None:
        (tmp_path / "mine.jinja").write_text(text)
        named = text if text == "llama-3" else str(tmp_path / "mine.jinja")
        with pytest.raises(LrmctlError, match="never learn to stop"):
            import_model(str(copy), tmp_path / "out", ImportOptions(template=named))
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("named", ["chatlm", "nothing.jinja", "", "a\0b", "x" * 5000, "/dev/full"])
    def test_one_that_is_nothing_is_one_sentence(self, named: str, tmp_path: Path) -> None:
        with pytest.raises(NotFoundError, match="no file and no template") as raised:
            import_model("lab:tiny", tmp_path / "out", ImportOptions(template=named))
        assert "chatml" in raised.value.fix

    @pytest.mark.parametrize("data", [b"", b"\xff\xfe\x00", b"{{ a }}" * 200_000])
    def test_a_file_that_is_no_template_is_one_sentence(self, data: bytes, tmp_path: Path) -> None:
        (tmp_path / "t").write_bytes(data)
        with pytest.raises(LrmctlError, match="is no chat template"):
            import_model("lab:tiny", tmp_path / "out", ImportOptions(template=str(tmp_path / "t")))


class TestAdapters:
    @pytest.fixture
    def adapter(self, tmp_path: Path) -> Path:
        from test_adapters import made

        return made(tmp_path / "adapter")

    @pytest.mark.parametrize("ref", ["{}", "lab:tiny+{}"])
    def test_one_is_merged_into_its_base(self, ref: str, adapter: Path, tmp_path: Path) -> None:
        (adapter / "README.md").write_text("---\nlicense: mit\n---\n")
        manifest = import_model(ref.format(adapter), tmp_path / "out")
        ids = torch.tensor([[5, 6, 7, 8]])
        with torch.inference_mode():
            found, right = (load_model(path)(ids).logits for path in (tmp_path / "out", adapter))
        assert torch.allclose(found, right, atol=1e-5)
        assert not (tmp_path / "out/adapter_config.json").exists()
        assert manifest["source"]["kind"] == "adapter"
        assert manifest["source"]["base"] == {"name": str(base_path()), "fingerprint": fingerprint(base_path())}
        assert manifest["licence"]["name"] == "mit (adapter), unknown (base)"
        assert load_tokenizer(tmp_path / "out").eos_token == "<|im_end|>"

    def test_one_whose_base_is_not_here_is_told_the_command(self, adapter: Path, tmp_path: Path) -> None:
        change(adapter / "adapter_config.json", base_model_name_or_path="/gone/model")
        with pytest.raises(NotFoundError, match="base cannot be had") as raised:
            import_model(str(adapter), tmp_path / "out")
        assert raised.value.fix.endswith(f"lrmctl model import BASE+{adapter} adapter-merged")


class TestHub:
    def test_a_repository_is_imported_with_its_commit_and_licence(
        self, hub: Hub, copy: Path, sharded: Path, tmp_path: Path
    ) -> None:
        shutil.copytree(sharded, copy, dirs_exist_ok=True)
        (copy / "README.md").write_text("---\nlicense: other\nlicense_name: my-licence\n---\n# A model\n")
        (copy / "LICENSE").write_text("Mine.")
        hub.folders["me/model"] = copy
        manifest = import_model("me/model", tmp_path / "out")
        assert manifest["source"]["revision"] == COMMIT
        assert manifest["licence"] == {"name": "my-licence", "found_in": "the model card, README.md"}
        assert (tmp_path / "out/LICENSE").read_text() == "Mine."
        hub.folders.clear()  # from the cache
        assert import_model("me/model", tmp_path / "again")["fingerprint"] == manifest["fingerprint"]
        again = ImportOptions(revision=COMMIT)
        assert import_model("me/model", tmp_path / "commit", again)["fingerprint"] == manifest["fingerprint"]
        with pytest.raises(NotFoundError, match="cannot get"):
            import_model("me/model", tmp_path / "other", ImportOptions(revision="b" * 40))

    def test_a_gguf_file_of_a_repository_is_imported(self, hub: Hub, tmp_path: Path) -> None:
        folder = tmp_path / "repository"
        folder.mkdir()
        write_gguf(folder / "a-Q8_0.gguf", kind="Q8_0")
        (folder / "README.md").write_text("---\nlicense: mit\n---\n")
        hub.folders["me/files"] = folder
        with pytest.raises(NotFoundError, match="GGUF") as raised:
            import_model("me/files", tmp_path / "out")
        assert raised.value.fix.endswith("lrmctl model import me/files/a-Q8_0.gguf a-Q8_0")
        manifest = import_model("me/files/a-Q8_0.gguf", tmp_path / "out")
        assert (manifest["source"]["revision"], manifest["licence"]["name"]) == (COMMIT, "mit")

    def test_a_revision_of_what_is_not_on_the_hub_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(LrmctlError, match="is not on the hub"):
            import_model("lab:tiny", tmp_path / "out", ImportOptions(revision="main"))


def test_code_is_run_and_kept_only_where_it_is_trusted(copy: Path, tmp_path: Path, lrmctl: Any) -> None:
    from test_code_of_models import with_code

    with_code(copy, tmp_path / "mark", "own")
    refused = lrmctl("model", "import", "copy", "out")
    assert (refused.code, (tmp_path / "mark").exists()) == (2, False)
    assert "--trust-remote-code" in refused.err
    with_code(copy, tmp_path / "mark", "llama")
    assert lrmctl("model", "import", "copy", "known").code == 0
    assert not (tmp_path / "mark").exists()
    assert "auto_map" not in json.loads((tmp_path / "known/config.json").read_text())
    with_code(copy, tmp_path / "mark", "own")
    done = lrmctl("model", "import", "copy", "out", "--trust-remote-code")
    assert done.code == 0, done.err
    assert (tmp_path / "mark").exists()
    assert (tmp_path / "out/own.py").is_file()


def test_a_model_of_a_run_is_imported(tmp_path: Path, lrmctl: Any) -> None:
    shutil.copytree(base_path(), tmp_path / "elsewhere/mine/model")
    done = lrmctl("model", "import", "run:mine", "out", "--runs-dir", "elsewhere", "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert (told["kind"], told["data"]["path"]) == ("import", "out")
    assert told["data"]["fingerprint"] == fingerprint(tmp_path / "out")


def test_it_prints_what_it_found(tmp_path: Path, lrmctl: Any) -> None:
    write_gguf(tmp_path / "a.gguf", eos=1, kind="Q8_0", general__license="apache-2.0", general__name="A model")
    done = lrmctl("model", "import", "a.gguf", "out")
    assert done.code == 0, done.err
    said = " ".join(done.out.split())
    for words in ("LlamaForCausalLM", "252,992, written as float32", "872 tokens", "apache-2.0 (general.license)"):
        assert words in said
    assert "<|im_end|> (2): the chat template ends an assistant's turn with it" in said
    assert "the source's tokenizer names <|im_start|>" in said
    assert fingerprint(tmp_path / "out") in said
    assert "quantized" in done.err


def test_weights_and_tokenizer_of_two_models_are_refused(copy: Path, tmp_path: Path) -> None:
    words = json.loads((copy / "tokenizer.json").read_text())
    words["added_tokens"].append({**words["added_tokens"][-1], "id": 872, "content": "<new>"})
    (copy / "tokenizer.json").write_text(json.dumps(words))
    with pytest.raises(LrmctlError, match="873 tokens, the model's embedding only 872 rows"):
        import_model(str(copy), tmp_path / "out")
