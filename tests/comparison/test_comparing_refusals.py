"""What is refused, what the refusal says, and what may be allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from compared import evaluated, row, sum_of

from lrmctl.comparison import ALLOWED, compare, compare_all, differences
from lrmctl.errors import LrmctlError
from lrmctl.runs.folder import write_json

SAMPLING = {"top_p": 0.95, "max_new_tokens": 64, "decoding": {"mode": "default"}, "system": "", "template_args": {}}


@pytest.mark.parametrize(
    ("key", "other", "said"),
    [
        ("sampling", {"top_p": 0.9}, "sampling top_p is 0.95 in one and 0.9 in the other"),
        ("sampling", {"max_new_tokens": 32}, "max_new_tokens is 64 in one and 32"),
        ("decoding", {"decoding": {"mode": "zero-think"}}, "zero-think"),
        ("system", {"system": "be careful"}, "be careful"),
        ("template_args", {"template_args": {"enable_thinking": False}}, "enable_thinking"),
    ],
)
def test_another_way_of_sampling_is_refused_unless_it_is_allowed(
    tmp_path: Path, key: str, other: dict[str, Any], said: str
) -> None:
    a = evaluated(tmp_path / "a", [row("1", False)], sampling=SAMPLING)
    b = evaluated(tmp_path / "b", [row("1", True)], sampling=SAMPLING | other)
    with pytest.raises(LrmctlError, match=said) as refused:
        compare(a, b)
    assert f"--allow {key}" in refused.value.fix
    (found,) = compare_all([("a", a), ("b", b)], allow=[key])
    assert found.deltas[0].delta == 1
    assert said in found.allowed[0]


def test_every_reason_is_named_at_once(tmp_path: Path) -> None:
    a = evaluated(tmp_path / "a", [row("1", False)], sampling=SAMPLING)
    b = evaluated(tmp_path / "b", [row("1", True)], sampling=SAMPLING | {"top_p": 1, "system": "x"})
    with pytest.raises(LrmctlError, match=r"top_p.*system") as refused:
        compare(a, b)
    assert "--allow sampling --allow system" in refused.value.fix


def test_allowing_one_difference_allows_no_other(tmp_path: Path) -> None:
    a = evaluated(tmp_path / "a", [row("1", False)], sampling=SAMPLING)
    b = evaluated(tmp_path / "b", [row("1", True, judge="2")], sampling=SAMPLING | {"top_p": 1})
    with pytest.raises(LrmctlError, match="judges differ"):
        compare(a, b, allow=["sampling"])


def test_with_prompts_allowed_only_those_alike_on_both_sides_are_paired(tmp_path: Path) -> None:
    a = evaluated(tmp_path / "a", [row("1", False), row("2", False), row("3", True), row("4", True)])
    b = evaluated(tmp_path / "b", [row("1", True), row("2", True, text="other words"), row("5", True), row("4", True)])
    found = compare(a, b, allow=["prompts"])[0]
    assert (found.prompts, found.wins, found.ties, found.left_out) == (2, 1, 1, 3)


def test_another_gold_answer_is_refused(tmp_path: Path) -> None:
    a = evaluated(tmp_path / "a", [sum_of("1", False)])
    b = evaluated(tmp_path / "b", [sum_of("1", True, gold="9")])
    with pytest.raises(LrmctlError, match="gold answers of 1 prompts differ"):
        compare(a, b)
    assert compare(a, b, allow=["reference"])[0].delta == 1


def test_another_grader_of_a_reasoning_task_is_refused(tmp_path: Path) -> None:
    sides = []
    for version in ("0.8", "0.9"):
        entry = {"set": "sums", "kind": "reasoning", "temperature": 0.6, "judge": "math_verify"}
        sides.append(evaluated(tmp_path / version, [sum_of("1", True)], sets=[entry | {"judge_version": version}]))
    with pytest.raises(LrmctlError, match=r"math_verify 0\.8 in one and math_verify 0\.9") as refused:
        compare(*sides)
    assert "--allow judge" in refused.value.fix
    assert compare(*sides, allow=["judge"])


def test_engines_seeds_models_and_versions_are_listed_and_do_not_matter(tmp_path: Path) -> None:
    a = evaluated(
        tmp_path / "a", [row("1", False)], seed=0, fingerprint="aa", engine={"name": "hf", "dtype": "float32"}
    )
    b = evaluated(tmp_path / "b", [row("1", True)], seed=1, fingerprint="bb", engine={"name": "vllm"})
    write_json(tmp_path / "a/lock.json", {"recipe_sha256": "0" * 64, "versions": {"torch": "1"}})
    write_json(tmp_path / "b/lock.json", {"recipe_sha256": "1" * 64, "versions": {"torch": "2"}})
    found = {d.key: (d.a, d.b) for d in differences(a / "eval", b / "eval")}
    assert found == {
        "seed": (0, 1),
        "fingerprint": ("aa", "bb"),
        "engine.name": ("hf", "vllm"),
        "engine.dtype": ("float32", "not recorded"),
        "trained.recipe_sha256": ("0" * 12, "1" * 12),
        "trained_with.torch": ("1", "2"),
    }
    assert compare(a, b)


def test_a_word_that_allows_nothing_is_refused(tmp_path: Path) -> None:
    a = evaluated(tmp_path / "a", [row("1", True)])
    with pytest.raises(LrmctlError, match=r"(?s)no 'decodign'.*did you mean 'decoding'"):
        compare(a, a, allow=["decodign"])
    assert compare(a, a, allow=ALLOWED)


def test_a_damaged_row_is_named_by_its_line(tmp_path: Path) -> None:
    a = evaluated(tmp_path / "a", [row("1", True)])
    with (a / "eval/rows.jsonl").open("a") as out:
        out.write('{"set": 1}\n')
    with pytest.raises(LrmctlError, match=r"rows\.jsonl:2"):
        compare(a, a)


def test_the_folder_of_an_evaluation_is_taken_as_well_as_that_of_its_run(tmp_path: Path) -> None:
    a = evaluated(tmp_path / "a", [row("1", False)])
    b = evaluated(tmp_path / "b", [row("1", True)])
    assert compare(a, b) == compare(a / "eval", b / "eval")
