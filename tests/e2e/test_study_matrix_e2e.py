"""Two bases x two training seeds x two arms, one of which starts from the other: cells, names, reports, lineage."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lrmctl.comparison.study_cells import cell_scores
from lrmctl.lab import base_path
from lrmctl.models import fingerprint
from lrmctl.runs.study_cells import read_cells

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

STUDY = """
kind: study
name: grid
bases: [lab:tiny, {name: other, model: copy}]
seeds: [0, 1]
start: sft
arms:
  - {name: sft, label: SFT, recipe: lab/sft-mixed, set: {train.epochs: 1, data.sources.0.options.n: 16}, keep: false}
  - {name: more, label: More SFT, recipe: lab/sft-harmful, set: {train.epochs: 1, data.sources.0.options.n: 16}}
evaluation:
  safety: [{use: lab-harmful, options: {n: 4}}, {use: lab-benign, options: {n: 4}}]
  samples: 1
  max_new_tokens: 16
analysis: {entropy: false}
"""
CELLS = ["base", "seed-0/sft", "seed-0/more", "seed-1/sft", "seed-1/more"]


def lrmctl(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lrmctl", *words], cwd=folder, capture_output=True, text=True, env=dict(os.environ)
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("matrix")
    shutil.copytree(base_path(), path / "copy")
    (path / "grid.yaml").write_text(STUDY)
    done = lrmctl(path, "study", "grid.yaml")
    assert done.returncode == 0, done.stderr
    return path


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_every_cell_is_a_run_of_its_own_with_its_base_and_seed(folder: Path) -> None:
    study = folder / "runs" / "grid"
    cells = read_cells(study)
    assert [cell.path for cell in cells] == [f"{base}/{cell}" for base in ("lab-tiny", "other") for cell in CELLS]
    assert not any(cell.hole for cell in cells)
    for cell in cells:
        if cell.arm != "base":
            lock = read(cell.folder / "lock.json")
            assert (lock["recipe"]["seed"], lock["lineage"]["seed"]) == (cell.seed, cell.seed)
            assert read(cell.folder / "eval" / "summary.json")["seed"] == 0


def test_a_followers_lock_names_every_training_before_it(folder: Path) -> None:
    cell = folder / "runs/grid/other/seed-1/more"
    before = read(cell.parent / "sft" / "lock.json")
    lineage = read(cell / "lock.json")["lineage"]
    assert lineage["base"]["fingerprint"] == fingerprint(folder / "copy")
    (stage,) = lineage["stages"]
    assert (stage["run"], stage["seed"], stage["recipe_sha256"]) == ("sft", 1, before["recipe_sha256"])
    assert stage["fingerprint"] == read(cell.parent / "sft" / "eval" / "summary.json")["fingerprint"]


def test_training_data_of_the_start_count_as_seen(folder: Path) -> None:
    overlap = read(folder / "runs/grid/other/seed-1/more/eval/summary.json")["overlap"]
    assert {entry["training"] for entry in overlap} == {"run:more and run:sft"}


def test_weights_that_are_not_kept_are_gone_and_the_others_are_there(folder: Path) -> None:
    group = folder / "runs/grid/lab-tiny/seed-0"
    assert not list((group / "sft/model").glob("*.safetensors"))
    assert (group / "sft/model/config.json").is_file()
    assert list((group / "more/model").glob("*.safetensors"))


def test_scores_of_all_cells_are_on_the_same_prompts(folder: Path) -> None:
    scores = [found.scores for found in cell_scores(folder / "runs/grid")]
    assert len(scores) == 10
    prompts = {tuple(sorted(one.index)) for found in scores for key, one in found.items() if key.kind == "harmful"}
    assert len(prompts) == 1


def test_cells_have_names_that_commands_take(folder: Path) -> None:
    listed = lrmctl(folder, "run", "list", "--json")
    names = {run["name"] for run in json.loads(listed.stdout)["data"]}
    assert {"grid", "grid/lab-tiny/base", "grid/other/seed-1/more"} <= names
    compared = lrmctl(folder, "compare", "grid/other/base", "run:grid/other/seed-1/more", "--json")
    assert compared.returncode == 0, compared.stderr
    group = lrmctl(folder, "report", "grid/other/seed-1", "--out", "group.html", "--traces", "0")
    assert group.returncode == 0, group.stderr
    assert [row["name"] for row in _rows(folder / "table.json")] == ["base", "sft", "more"]


def _rows(table: Path) -> Sequence[Any]:
    return list(read(table)["temperatures"][0]["rows"])


def test_a_group_has_the_differences_to_the_own_start_too(folder: Path) -> None:
    group = folder / "runs/grid/other/seed-1"
    table = read(group / "table.json")
    assert [(one["name"], one["start"]) for one in table["deltas_to_start"]] == [("more", "sft")]
    assert table["deltas_to_start"][0]["deltas"]
    page = (group / "report.html").read_text()
    assert "own start, temperature 0.6" in page
    assert "Base, then sft" in page


def test_the_studys_page_has_every_cell_and_links_every_group(folder: Path) -> None:
    study = folder / "runs/grid"
    page, table = (study / "report.html").read_text(), read(study / "table.json")
    assert [cell["path"] for cell in table["cells"]] == [cell.path for cell in read_cells(study)]
    assert all(cell["figures"]["joint_safe"] is not None for cell in table["cells"])
    for group in ("lab-tiny/seed-0", "lab-tiny/seed-1", "other/seed-0", "other/seed-1"):
        assert f'href="{group}/report.html"' in page


def test_run_again_it_keeps_everything(folder: Path) -> None:
    again = lrmctl(folder, "study", "grid.yaml")
    assert again.returncode == 0, again.stderr
    assert "start " not in again.stderr
    assert "kept    other/seed-1/more train" in again.stderr
