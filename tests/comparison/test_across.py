"""The arms of a study over its bases and training seeds, from rows to the page."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from compared import evaluated, row

from lrmctl.comparison import AcrossDelta, compare_across
from lrmctl.reporting.across import across_section
from lrmctl.runs.study_cells import StudyCell, cell_path, write_cells, write_holes

N = 40
Chance = Callable[[str, int | None, str], float]


def safe_share(base: str, seed: int | None, arm: str) -> float:
    """`rl` helps on both bases, `sft` on the small one only, `rl2` is `rl` trained on and no better."""
    start = {"small": 0.2, "large": 0.5}[base]
    gain = {"base": 0.0, "rl": 0.4, "rl2": 0.4, "sft": 0.4 if base == "small" else 0.0}[arm]
    return start + gain + (0.05 * seed if seed else 0.0)


def make_study(folder: Path, chance: Chance = safe_share, *, skip: Sequence[str] = ()) -> Path:
    cells = []
    for base in ("small", "large"):
        cells.append(StudyCell(base, None, "base", cell_path(base, None, "base", matrix=True)))
        for seed in (0, 1):
            for arm, start in (("rl", "base"), ("sft", "base"), ("rl2", "rl")):
                path = cell_path(base, seed, arm, matrix=True)
                cells.append(StudyCell(base, seed, arm, path, arm.upper(), arm == "sft", start))
    write_cells(folder, {"recipe": {"name": "s", "description": "A study"}}, cells)
    for cell in cells:
        if cell.path not in skip:
            k = round(N * chance(cell.base, cell.seed, cell.arm))
            evaluated(folder / cell.path, [row(f"p{i}", i < k) for i in range(N)])
    return folder


def of(deltas: Sequence[AcrossDelta], arm: str, reference: str = "base", metric: str = "joint_safe") -> AcrossDelta:
    (found,) = [d for d in deltas if (d.arm, d.reference, d.metric) == (arm, reference, metric)]
    return found


def test_an_effect_is_a_mean_over_bases_and_says_on_how_many_it_holds(tmp_path: Path) -> None:
    found = compare_across(make_study(tmp_path)).deltas
    rl, sft = of(found, "rl"), of(found, "sft")
    assert rl.delta == pytest.approx(0.425)
    assert (rl.better, rl.worse, len(rl.bases)) == (2, 0, 2)
    assert [(b.base, b.seeds, b.prompts) for b in rl.bases] == [("small", 2, N), ("large", 2, N)]
    assert rl.low < rl.delta < rl.high
    assert sft.bases[0].low > 0
    assert sft.bases[1].low < 0.026
    assert sft.between_bases == pytest.approx(np.std([0.425, 0.025], ddof=1))
    assert rl.between_seeds == pytest.approx(np.std([0.4, 0.45], ddof=1))
    assert rl.judge == "lab 1"


def test_an_arm_is_compared_with_its_own_start_too(tmp_path: Path) -> None:
    found = compare_across(make_study(tmp_path)).deltas
    assert {(d.arm, d.reference) for d in found} == {("rl", "base"), ("sft", "base"), ("rl2", "base"), ("rl2", "rl")}
    assert of(found, "rl2", "rl").delta == pytest.approx(0.0)
    assert of(found, "rl2", "rl").p == 1.0


def test_holm_is_over_arms_for_means_and_over_bases_too_for_single_ones(tmp_path: Path) -> None:
    from statsmodels.stats.multitest import multipletests

    found = [d for d in compare_across(make_study(tmp_path)).deltas if d.metric == "joint_safe"]
    wanted = multipletests([d.p for d in found], method="holm")[1]
    assert [d.p_holm for d in found] == pytest.approx(list(wanted))
    single = [b for d in found for b in d.bases]
    assert [b.p_holm for b in single] == pytest.approx(list(multipletests([b.p for b in single], method="holm")[1]))
    assert {d.p_holm for d in compare_across(tmp_path).deltas if d.metric != "joint_safe"} == {None}


def test_a_hole_is_left_out_and_named_and_the_rest_counts(tmp_path: Path) -> None:
    study = make_study(tmp_path, skip=["large/seed-1/rl"])
    write_holes(study, {"large/seed-1/rl": "the trainer failed\nmore"})
    found = compare_across(study)
    assert "large/seed-1/rl: the trainer failed" in found.left_out
    assert [b.seeds for b in of(found.deltas, "rl").bases] == [2, 1]
    assert of(found.deltas, "rl").missing == 1


def test_a_cell_with_another_judge_is_not_compared(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    evaluated(study / "small/seed-0/rl", [row(f"p{i}", True, judge="2") for i in range(N)])
    found = compare_across(study)
    assert any("small/seed-0/rl" in note and "judges differ" in note for note in found.left_out)
    assert [b.seeds for b in of(found.deltas, "rl").bases] == [1, 2]


def test_the_page_says_it_in_words_tables_and_data(tmp_path: Path) -> None:
    section = across_section(compare_across(make_study(tmp_path)).deltas)
    rl, sft, rl2, rl2_rl = section.sentences
    assert rl.startswith("RL against the base: thinks and answers safely on harmful prompts more often (+42.5 [")
    assert rl.endswith("points on s, clear on 2 of 2 bases).")
    assert sft.startswith("SFT (control) against the base: ")
    assert rl2.startswith("RL2 against the base: ")
    assert rl2_rl.startswith("RL2 against rl: ")
    assert "about as often, or the data cannot tell (+0.0 [" in rl2_rl
    assert [table.name for table in section.tables] == ["table-across", "table-bases"]
    assert len(section.panels) == 1
    json.dumps([d.to_json() for d in compare_across(tmp_path).deltas])
