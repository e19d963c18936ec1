"""A run's model is published with everything that belongs to it, and with nothing that was not asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from exported import INJECTION, evaluated
from huggingface_hub import HfApi, ModelCard, constants
from loopback_hub import TOKEN, Hub, running_hub
from many_commands import run_all

from lrmctl.errors import LrmctlError
from lrmctl.export.hub import upload
from lrmctl.lab import base_path
from lrmctl.recipe.load import load_recipe
from lrmctl.recipe.lock import recipe_hash, write_lock
from lrmctl.runs.folder import write_json
from lrmctl.runs.study_cells import StudyCell, write_cells

if TYPE_CHECKING:
    from conftest import Lrmctl

CARD = "---\nlicense: mit\ntags: [a]\n---\n"
HERE = "/home/somebody/secret-project"
SOURCES = [
    {
        "use": "star-1",
        "name": "star-1",
        "license": "Apache-2.0",
        "url": "https://huggingface.co/datasets/UCSC-VLAA/STAR-1",
        "file": f"{HERE}/data/STAR-1.json",
        "sha256": "a" * 64,
        "rows": 1000,
    }
]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study of two evaluated arms, `rl` and the control `short`; `rl` has a model and a lock."""
    study = tmp_path / "runs" / "study"
    loaded = load_recipe("lab/rl")
    for arm in ("rl", "short"):
        run = study / arm
        (run / "model").mkdir(parents=True)
        evaluated(run)
        model = {"ref": "Qwen/Qwen3-0.6B", "path": f"{HERE}/models/qwen", "fingerprint": "f00d"}
        build = {"run": "made", "use": "run:made", "file": str(tmp_path / "runs/made/rows.jsonl"), "licences": ["MIT"]}
        facts = {"model": model, "sources": [*SOURCES, build], "data": {"rows": 9, "sha256": "b" * 64, "too_long": 1}}
        lineage = {"base": model, "seed": 0, "stages": []}
        plan = {"env": {"TOKEN": "of-somebody"}, "argv": [HERE]}
        write_lock(run / "lock.json", loaded, lineage=lineage, template_sha256="c" * 64, plan=plan, **facts)
        write_json(run / "status.json", {"state": "done"})
        for file in base_path().iterdir():
            if file.suffix in (".json", ".safetensors", ".jinja"):
                (run / "model" / file.name).write_bytes(file.read_bytes())
    cells = [
        StudyCell("b", None, "rl", "rl", "RL"),
        StudyCell("b", None, "short", "short", "Length only", control=True),
    ]
    write_cells(study, {}, cells)
    made = tmp_path / "runs" / "made"
    made.mkdir()
    (made / "rows.jsonl").write_text(json.dumps({"prompt": "How do I open a vault?", "response": "So."}) + "\n")
    (made / "README.md").write_text("# made\n")
    write_json(made / "summary.json", {"licences": ["MIT"]})
    write_json(made / "lock.json", {"recipe": {"kind": "data"}, "recipe_file": HERE})
    return study


def everything(folder: Path) -> str:
    return "\n".join(f.read_text(errors="replace") for f in sorted(folder.rglob("*")) if f.is_file())


def test_the_folder_has_model_card_lock_and_figures(study: Path, lrmctl: Lrmctl, tmp_path: Path) -> None:
    done = lrmctl("publish", "study/rl", "--out", "published")
    assert done.code == 0, done.err
    out = tmp_path / "published"
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (out / name).read_bytes() == (study / "rl/model" / name).read_bytes()
    lock = json.loads((out / "lock.json").read_text())
    assert lock["recipe_sha256"] == recipe_hash(load_recipe("lab/rl"))
    assert yaml.safe_load((out / "recipe.yaml").read_text()) == lock["recipe"]
    assert "the licence of the weights is not known" in done.err
    for file in out.rglob("*"):
        if file.is_file():
            assert HERE.encode() not in file.read_bytes()
            assert b"of-somebody" not in file.read_bytes()


def test_texts_and_data_are_published_only_if_asked_for(study: Path, lrmctl: Lrmctl, tmp_path: Path) -> None:  # noqa: ARG001
    assert lrmctl("publish", "study/rl", "--out", "bare").code == 0
    assert "hazard-" not in everything(tmp_path / "bare")
    assert not (tmp_path / "bare/data").exists()
    assert lrmctl("publish", "study/rl", "--out", "cards", "--with-data").code == 0
    assert [p.name for p in sorted((tmp_path / "cards/data/made").iterdir())] == ["README.md", "lock.json"]
    told = lrmctl("publish", "study/rl", "--out", "whole", "--with-data", "--with-text")
    assert "harmful ones too" in told.err
    assert "vault" in (tmp_path / "whole/data/made/rows.jsonl").read_text()


def test_the_card_says_what_was_trained_measured_and_compared(study: Path, lrmctl: Lrmctl, tmp_path: Path) -> None:  # noqa: ARG001
    assert lrmctl("publish", "study/rl", "--out", "published", "--licence", "apache-2.0").code == 0
    text = (tmp_path / "published/README.md").read_text()
    card = ModelCard(text)
    head = card.data.to_dict()
    assert (head["license"], head["base_model"], head["datasets"]) == (
        "apache-2.0",
        "Qwen/Qwen3-0.6B",
        ["UCSC-VLAA/STAR-1"],
    )
    assert (head["base_model_relation"], head["pipeline_tag"]) == ("finetune", "text-generation")
    results = {(r.dataset_type, r.metric_type): r.metric_value for r in card.data.eval_results or ()}
    assert results[("harmful/set", "joint_safe")] == pytest.approx(7 / 8)
    for said in (
        "a" * 64,
        "Apache-2.0",
        recipe_hash(load_recipe("lab/rl")),
        "judged-safe, judge lab, on harmful prompts",
        "guard 7",
        "RL (this model)",
        "| Length only | yes |",
        "Trained on 9 rows",
        "1 were too long",
        "was not measured against labels",
    ):
        assert said in text, said
    assert "| harmful/set | harmful | 0.6 | thinking and answer safe | 87.5 |" in text
    assert INJECTION not in text
    assert "<script>" not in text


def test_what_is_missing_is_one_clear_error(study: Path, lrmctl: Lrmctl, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").write_text("")
    assert "is not overwritten" in lrmctl("publish", "study/rl", "--out", "full").err
    assert "--repo" in lrmctl("publish", "study/rl", "--to", "hub").err
    assert "--public is for --to hub" in lrmctl("publish", "study/rl", "--public").err
    assert "has no evaluation 'x'" in lrmctl("publish", "study/rl@x").err
    for file in (study / "short/model").iterdir():
        file.unlink()
    assert "has no model" in lrmctl("publish", "study/short").err


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub, for this process and those that it starts; nobody is logged in."""
    with running_hub() as hub:
        for key, value in {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}.items():
            monkeypatch.setenv(key, value)
        for key in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE"):
            monkeypatch.delenv(key, raising=False)
        # the library reads these once, when it is imported
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield hub


@pytest.mark.usefixtures("study")
def test_without_a_token_or_with_a_wrong_one_nothing_is_sent(
    hub: Hub, lrmctl: Lrmctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ("publish", "study/rl", "--to", "hub", "--repo", "org/m")
    none = lrmctl(*line)
    assert (none.code, none.err.count("error:")) == (2, 1)
    assert "there is no token for the hub" in none.err
    assert "hf auth login" in none.err
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    wrong = lrmctl(*line)
    assert (wrong.code, wrong.err.count("error:")) == (2, 1)
    assert "does not accept the token" in wrong.err
    assert hub.repositories == {}


def test_a_model_is_uploaded_once_and_privately(study: Path, hub: Hub, tmp_path: Path) -> None:
    line = ("publish", "study/rl", "--to", "hub", "--repo", "org/m")
    first, again = run_all([line, line], tmp_path, {"HF_TOKEN": TOKEN})
    assert (first.code, again.code) == (0, 0), first.err + again.err
    assert first.out.strip() == f"{hub.url}/org/m"
    repo = hub.repositories["org/m"]
    assert repo.private
    assert repo.files["model.safetensors"] == (study / "rl/model/model.safetensors").read_bytes()
    assert {"README.md", "lock.json", "recipe.yaml", "config.json", "evaluation/README.md"} <= repo.files.keys()
    assert len(hub.uploads) == len(set(hub.uploads))


def test_a_public_repository_is_not_written_to_by_chance(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(CARD)
    api = HfApi(endpoint=hub.url, token=TOKEN)
    upload(api, tmp_path, "org/m", private=False, message="m")
    assert not hub.repositories["org/m"].private
    with pytest.raises(LrmctlError, match="is there already and is public"):
        upload(api, tmp_path, "org/m", message="m")
    assert hub.repositories["org/m"].commits == 1


def test_an_interrupted_upload_goes_on(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(CARD)
    for name in ("a.safetensors", "b.safetensors"):
        (tmp_path / name).write_bytes(name.encode() * 1000)
    api, hub.fail_puts = HfApi(endpoint=hub.url, token=TOKEN), 1
    with pytest.raises(LrmctlError, match="the same command continues: the disk of the store is full"):
        upload(api, tmp_path, "org/m", message="m")
    assert upload(api, tmp_path, "org/m", message="m") == f"{hub.url}/org/m"
    assert set(hub.repositories["org/m"].files) == {"README.md", "a.safetensors", "b.safetensors"}
    assert len(hub.uploads) == len(set(hub.uploads)) == 2


def test_a_name_that_no_repository_can_have_is_refused(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(LrmctlError, match="no name of a repository"):
        upload(HfApi(endpoint=hub.url, token=TOKEN), tmp_path, "a/b/c", message="m")


def test_the_same_is_a_function(study: Path, tmp_path: Path) -> None:
    import lrmctl

    told: list[Any] = []
    done = lrmctl.publish(study / "rl", out=tmp_path / "out", on_warning=told.append)
    assert (done.folder, done.url) == (tmp_path / "out", "")
    assert (done.folder / "README.md").exists()
    assert any("licence" in one for one in told)
