"""What `study.json` says of a study's cells, also of one written before cells were listed in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lrmctl.api.side_by_side import arms_of
from lrmctl.errors import LrmctlError, NotFoundError
from lrmctl.runs.damage import DamagedError
from lrmctl.runs.lineage import lineage_of
from lrmctl.runs.listing import all_runs
from lrmctl.runs.names import named_run
from lrmctl.runs.study_cells import StudyCell, cell_path, groups_of, read_cells, write_cells, write_holes
from lrmctl.runs.weights import remove_weights


def matrix() -> list[StudyCell]:
    cells = []
    for base in ("x", "y"):
        cells.append(StudyCell(base, None, "base", cell_path(base, None, "base", matrix=True), "Base"))
        for seed in (0, 1):
            for arm, start in (("sft", "base"), ("rl", "sft")):
                path = cell_path(base, seed, arm, matrix=True)
                cells.append(StudyCell(base, seed, arm, path, arm.upper(), start=start))
    return cells


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "grid"
    for cell in matrix():
        (folder / cell.path / "eval").mkdir(parents=True)
        (folder / cell.path / "eval" / "summary.json").write_text("{}")
    write_cells(folder, {"recipe": {"name": "grid"}, "rebuild_base": False}, matrix())
    return folder


def test_cells_are_read_back_with_their_folders(study: Path) -> None:
    cells = read_cells(study)
    assert [cell.path for cell in cells] == [cell.path for cell in matrix()]
    assert cells[2].folder == study / "x/seed-0/rl"
    assert not any(cell.hole for cell in cells)


def test_a_base_belongs_to_the_groups_of_all_its_seeds(study: Path) -> None:
    groups = groups_of(read_cells(study))
    assert [(group.base, group.seed, group.path) for group in groups] == [
        ("x", 0, "x/seed-0"),
        ("x", 1, "x/seed-1"),
        ("y", 0, "y/seed-0"),
        ("y", 1, "y/seed-1"),
    ]
    assert [cell.path for cell in groups[3].cells] == ["y/base", "y/seed-1/sft", "y/seed-1/rl"]


def test_a_hole_has_its_reason_and_what_was_not_evaluated_says_so(study: Path) -> None:
    write_holes(study, {"y/seed-1/rl": "the disk is full"})
    (study / "x/seed-0/sft/eval/summary.json").unlink()
    holes = {cell.path: (cell.hole, cell.failed) for cell in read_cells(study) if cell.hole}
    assert holes == {
        "x/seed-0/sft": ("not evaluated yet", False),
        "y/seed-1/rl": ("the disk is full", True),
    }


def test_a_study_without_listed_cells_has_one_base_and_one_seed(tmp_path: Path) -> None:
    recipe = {"arms": [{"name": "rl", "label": "", "control": True}]}
    (tmp_path / "study.json").write_text(json.dumps({"recipe": recipe, "rebuild_base": False}))
    cells = read_cells(tmp_path)
    assert [(cell.arm, cell.path, cell.label, cell.control) for cell in cells] == [
        ("base", "base", "Base", False),
        ("rl", "rl", "rl", True),
    ]
    assert [group.path for group in groups_of(cells)] == [""]


@pytest.mark.parametrize("path", ["../../etc", "/etc", "a/b/c/d", ""])
def test_a_path_out_of_the_study_is_refused(study: Path, path: str) -> None:
    found = json.loads((study / "study.json").read_text())
    found["cells"][0]["path"] = path
    (study / "study.json").write_text(json.dumps(found))
    with pytest.raises(LrmctlError):
        read_cells(study)


def test_a_damaged_list_of_cells_names_its_file(study: Path) -> None:
    (study / "study.json").write_text('{"cells": [{"no": 1}]}')
    with pytest.raises(DamagedError) as error:
        read_cells(study)
    assert error.value.where == str(study / "study.json")


def test_cells_have_names_of_runs(study: Path) -> None:
    assert named_run("run:grid/x/seed-0/rl") == "grid/x/seed-0/rl"
    with pytest.raises(NotFoundError):
        named_run("run:a/b/c/d/e")
    names = [folder.relative_to(study.parent).as_posix() for folder in all_runs(study.parent)]
    assert {"grid/x/base", "grid/y/seed-1/rl"} <= set(names)


def test_a_study_a_group_and_a_cell_name_their_arms(study: Path) -> None:
    runs = study.parent
    assert [arm.name for arm in arms_of("grid", runs)] == [cell.path for cell in matrix()]
    assert [(arm.name, arm.label, arm.start) for arm in arms_of("grid/y/seed-1", runs)] == [
        ("base", "Base", ""),
        ("sft", "SFT", ""),
        ("rl", "RL", "sft"),
    ]
    (cell,) = arms_of("run:grid/y/seed-1/rl", runs)
    assert cell.path == study / "y/seed-1/rl"
    with pytest.raises(NotFoundError):
        list(arms_of("grid/y/seed-7", runs))


def run_with_lock(folder: Path, name: str, model: dict[str, str], seed: int = 3) -> dict[str, str]:
    """A finished run; what a training that starts from it writes about its model."""
    (folder / name / "model").mkdir(parents=True)
    lock = {"recipe": {"name": f"recipe-{name}", "seed": seed}, "recipe_sha256": name * 2, "model": model}
    (folder / name / "lock.json").write_text(json.dumps({**lock, "lineage": lineage_of(model, seed)}))
    path = folder / name / "model"
    return {"ref": str(path), "path": str(path), "fingerprint": f"model-{name}"}


def test_a_lineage_lists_every_training_before_a_run(tmp_path: Path) -> None:
    base = {"ref": "owner/model", "path": str(tmp_path / "hub"), "fingerprint": "model-base"}
    sft = run_with_lock(tmp_path, "sft", base)
    rl = run_with_lock(tmp_path, "rl", sft)
    found = lineage_of(rl, 4)
    assert found["base"] == {"ref": "owner/model", "fingerprint": "model-base"}
    assert found["seed"] == 4
    assert [(one["run"], one["recipe"], one["recipe_sha256"], one["fingerprint"]) for one in found["stages"]] == [
        ("sft", "recipe-sft", "sftsft", "model-sft"),
        ("rl", "recipe-rl", "rlrl", "model-rl"),
    ]


def test_a_run_from_before_lineages_is_followed_through_its_model(tmp_path: Path) -> None:
    sft = run_with_lock(tmp_path, "sft", {"ref": "owner/model", "path": "/hub", "fingerprint": "model-base"})
    lock = json.loads((tmp_path / "sft/lock.json").read_text())
    del lock["lineage"]
    (tmp_path / "sft/lock.json").write_text(json.dumps(lock))
    assert [one["run"] for one in lineage_of(sft, 0)["stages"]] == ["sft"]


def test_only_weights_and_checkpoints_are_removed(tmp_path: Path) -> None:
    for file in (
        "model/model.safetensors",
        "model/config.json",
        "model/tokenizer.json",
        "checkpoints/global_step1/x.pt",
    ):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("12345")
    assert remove_weights(tmp_path) == 10
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["config.json", "tokenizer.json"]
    assert not (tmp_path / "checkpoints").exists()
