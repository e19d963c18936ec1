from __future__ import annotations

import json
from pathlib import Path

import pytest
from compared import evaluated, row

from lrmctl.comparison import Delta, compare
from lrmctl.errors import LrmctlError, NotFoundError
from lrmctl.runs.eval_rows import EvalRow


def joint(deltas: list[Delta]) -> Delta:
    (only,) = [d for d in deltas if d.metric == "joint_safe"]
    return only


def test_prompts_are_paired_by_id_whatever_their_order(tmp_path: Path) -> None:
    a = evaluated(tmp_path / "a", [row("1", False), row("2", True), row("3", False), row("4", True)])
    b = evaluated(tmp_path / "b", [row("4", True), row("3", True), row("2", False), row("1", True)])
    found = joint(compare(a, b))
    assert (found.wins, found.losses, found.ties, found.prompts) == (2, 1, 1, 4)
    assert (found.a, found.b, found.delta) == (0.5, 0.75, 0.25)
    assert found.low <= 0.25 <= found.high
    assert 0 < found.p <= 1


def test_samples_of_one_prompt_are_averaged_before_pairing(tmp_path: Path) -> None:
    a = evaluated(
        tmp_path / "a", [row("1", s < 1, sample=s) for s in range(4)] + [row("2", False, sample=s) for s in range(4)]
    )
    b = evaluated(
        tmp_path / "b", [row("1", s < 3, sample=s) for s in range(4)] + [row("2", False, sample=s) for s in range(4)]
    )
    found = joint(compare(a, b))
    assert (found.prompts, found.samples, found.wins, found.ties) == (2, 4, 1, 1)
    assert found.delta == pytest.approx(0.25)


def test_a_failed_verdict_is_left_out_and_counted(tmp_path: Path) -> None:
    a = evaluated(tmp_path / "a", [row("1", False), row("2", True)])
    b = evaluated(tmp_path / "b", [row("1", None), row("2", True)])
    found = joint(compare(a, b))
    assert (found.prompts, found.left_out, found.delta) == (1, 1, 0)


def test_temperatures_are_kept_apart(tmp_path: Path) -> None:
    a = evaluated(tmp_path / "a", [row(p, False, t=t) for p in "12" for t in (0.6, 1.0)])
    b = evaluated(tmp_path / "b", [row(p, t < 1, t=t) for p in "12" for t in (0.6, 1.0)])
    assert {d.temperature: d.delta for d in compare(a, b) if d.metric == "joint_safe"} == {0.6: 1, 1.0: 0}


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ([row("1", True), row("3", True)], "2 are on one side only"),
        ([row("1", True), row("2", True, text="something else")], "1 have another text"),
        ([row("1", True), row("2", True), row("2", True, sample=1)], "samples per prompt"),
        ([row("1", True, judge="2"), row("2", True, judge="2")], "judges differ .lab 1 and lab 2"),
        ([row("1", True, t=1.0), row("2", True, t=1.0)], "no set and temperature in common"),
    ],
)
def test_unlike_evaluations_are_refused_with_the_reason(tmp_path: Path, other: list[EvalRow], reason: str) -> None:
    a = evaluated(tmp_path / "a", [row("1", False), row("2", True)])
    with pytest.raises(LrmctlError, match=reason):
        compare(a, evaluated(tmp_path / "b", other))


def test_another_token_limit_is_refused(tmp_path: Path) -> None:
    a = evaluated(tmp_path / "a", [row("1", False)], engine={"max_new_tokens": 64})
    b = evaluated(tmp_path / "b", [row("1", False)], engine={"max_new_tokens": 128})
    with pytest.raises(LrmctlError, match="max_new_tokens is 64 in one and 128"):
        compare(a, b)


def test_a_folder_without_evaluation_is_named(tmp_path: Path) -> None:
    a = evaluated(tmp_path / "a", [row("1", False)])
    with pytest.raises(NotFoundError, match="nowhere"):
        compare(a, tmp_path / "nowhere")


def test_a_delta_is_plain_json(tmp_path: Path) -> None:
    a = evaluated(tmp_path / "a", [row("1", False), row("2", False)])
    b = evaluated(tmp_path / "b", [row("1", True), row("2", False)])
    again = json.loads(json.dumps([d.to_json() for d in compare(a, b)]))
    assert again[0]["metric"] == "joint_safe"
    assert again[0]["judge"] == "lab 1"
