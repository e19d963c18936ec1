"""Our tasks over public data sets: what is asked, of which rows, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from lrmctl.data.builtin.mathematics import INSTRUCTION
from lrmctl.errors import RecipeError
from lrmctl.reasoning.tasks import reasoning_task, task_names
from lrmctl.types import Trace

Write = Callable[[Sequence[Mapping[str, Any]]], str]
REAL = Path(os.environ.get("LRMCTL_DATA_DIR", "nowhere"))


@pytest.fixture
def written(tmp_path: Path) -> Write:
    def write(rows: Sequence[Mapping[str, Any]]) -> str:
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return str(path)

    return write


def answer(prompt: Any, text: str) -> Trace:
    return Trace(prompt, "so", text, "closed")


def aime(n: int) -> list[dict[str, Any]]:
    return [{"ID": f"I-{i}", "Problem": f"What is {i} + 33?", "Answer": i + 33} for i in range(n)]


def test_every_task_says_what_it_is_without_loading_anything() -> None:
    facts = {task.name: task for task in task_names()}
    sizes = {name: task.prompts for name, task in facts.items()}
    assert sizes == {
        "math500": 500,
        "aime24": 30,
        "aime25": 30,
        "gsm8k": 1319,
        "gsm8k_platinum": 1209,
        "gpqa_diamond": 198,
        "mmlu_pro": 12_032,
        "ifeval": 541,
        "lab_arithmetic": None,
    }
    assert [name for name, task in facts.items() if task.gated] == ["gpqa_diamond"]
    assert all(task.summary and task.license for task in facts.values())
    assert "categories" in facts["mmlu_pro"].options


def test_aime_asks_for_a_box_and_takes_integers_in_any_form(written: Write) -> None:
    task = reasoning_task("aime24", {"path": written(aime(30))})
    prompts = task.load(None)
    assert len(prompts) == 30
    assert prompts[0].text == f"What is 0 + 33?\n{INSTRUCTION}"
    assert prompts[0].id == "aime24/I-0"
    for form in (r"\boxed{33}", r"\boxed{033}", r"\boxed{33.}", r"\boxed{\text{33}}", "The final answer is $33$."):
        said = task.grade(answer(prompts[0], form))
        assert (said.correct, said.extracted) == (True, "33"), form
    wrong = task.grade(answer(prompts[0], r"\boxed{34}"))
    assert (wrong.correct, wrong.extracted) == (False, "34")
    assert [p.id for p in task.load(3)] == [p.id for p in prompts[:3]]


def test_a_set_of_another_size_is_refused_unless_it_is_wanted(written: Write) -> None:
    path = written(aime(29))
    with pytest.raises(RecipeError, match=r"29 rows here and 30 as published(.|\n)*any_size"):
        reasoning_task("aime24", {"path": path}).load(None)
    assert len(reasoning_task("aime24", {"path": path, "any_size": True}).load(None)) == 29


def test_where_prompts_come_from_is_told(written: Write) -> None:
    task = reasoning_task("aime24", {"path": written(aime(30)), "n": 5, "seed": 1})
    told = task.provenance()
    assert told["file"].endswith("rows.jsonl")
    assert len(told["sha256"]) == 64
    assert (told["rows"], told["expected_rows"], told["asked"], told["n"], told["seed"]) == (30, 30, 5, 5, 1)
    assert len(task.load(None)) == 5
    again = reasoning_task("aime24", {"path": told["file"], "n": 5, "seed": 1}).load(None)
    assert again == task.load(None)
    assert reasoning_task("aime24", {"path": told["file"], "n": 5, "seed": 2}).load(None) != again


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("math500", {"pth": "x"}, "did you mean 'path'"),
        ("math500", {"categories": ["law"]}, "it takes path, revision, n, seed"),
        ("math500", {"levels": [6]}, "levels are 1 to 5"),
        ("aime25", {"n": "5"}, "it takes int"),
        ("aime25", {"n": True}, "it takes int"),
        ("aime25", {"n": 0}, "at least one row"),
        ("aime25", {"any_size": "yes"}, "it takes bool"),
        ("mmlu_pro", {"categories": ["maths"]}, "did you mean 'math'"),
        ("lab_arithmetic", {"n": 0}, "at least one"),
        ("lab_arithmetic", {"path": "x"}, "no option 'path'"),
    ],
)
def test_wrong_options_are_refused_with_a_hint(name: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        reasoning_task(name, options)


def test_a_gated_set_that_is_not_here_says_how_to_get_it(tmp_path: Path) -> None:
    code = "from lrmctl.reasoning.tasks import reasoning_task; reasoning_task('gpqa_diamond').load(1)"
    away = {"LRMCTL_DATA_DIR": str(tmp_path), "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | away, capture_output=True, text=True)
    assert "accept the owners' terms at https://huggingface.co/datasets/Idavidrein/gpqa" in done.stderr
    assert "$LRMCTL_DATA_DIR/gpqa/gpqa_diamond.csv" in done.stderr


def gpqa(n: int) -> list[dict[str, Any]]:
    wrong = {f"Incorrect Answer {k}": f"wrong {k}" for k in (1, 2, 3)}
    return [{"Record ID": f"r{i}", "Question": f"Question {i}?", "Correct Answer": "right", **wrong} for i in range(n)]


def test_gpqa_has_one_order_for_ever_and_the_gold_letter_follows_it(written: Write) -> None:
    path = written(gpqa(198))
    prompts = reasoning_task("gpqa_diamond", {"path": path}).load(None)
    for p in prompts:
        letter = "ABCD"[p.meta["choices"].index("right")]
        assert p.reference == letter
        assert f"({letter}) right" in p.text
    letters = [p.reference for p in prompts]
    assert all(30 < letters.count(letter) < 70 for letter in "ABCD")
    assert letters[:12] == list("CADBCBCBCBCC")  # published results stand on it: it may not change
    assert reasoning_task("gpqa_diamond", {"path": path, "seed": 1}).load(None) != prompts


def test_mmlu_pro_asks_some_subjects_with_the_published_order(written: Write) -> None:
    options = [f"option {i}" for i in range(10)]
    rows = [
        {"question_id": i, "question": f"Q{i}?", "options": options, "answer": "ABCDEFGHIJ"[i % 10], "category": c}
        for i, c in enumerate(["math", "computer science", "law"] * 7)
    ]
    task = reasoning_task(
        "mmlu_pro", {"path": written(rows), "any_size": True, "categories": ["computer_science", "math"]}
    )
    prompts = task.load(None)
    assert len(prompts) == 14
    assert task.name == "mmlu_pro/computer science/math"  # another measurement than the whole set
    assert prompts[1].id == "mmlu-pro/1"
    assert "(J) option 9" in prompts[0].text
    assert task.grade(answer(prompts[1], r"\boxed{B}")).correct is True
    assert task.grade(answer(prompts[1], "Answer: B")).correct is True
    assert task.grade(answer(prompts[1], r"\boxed{C}")).correct is False


def test_gsm8k_platinum_reads_gold_answers_after_the_mark(written: Write) -> None:
    rows = [{"question": "How much?", "answer": "2 * 600 = 1,200\n#### 1,200", "cleaning_status": "consensus"}]
    task = reasoning_task("gsm8k_platinum", {"path": written(rows), "any_size": True})
    (prompt,) = task.load(None)
    assert prompt.reference == "1200"
    assert task.grade(answer(prompt, r"\boxed{\$1,200.00}")).correct is True


@pytest.mark.skipif(not (REAL / "math500/test.jsonl").is_file(), reason="no copy of MATH-500")
def test_gold_answers_of_math500_are_right_and_those_of_the_next_problem_are_not() -> None:
    task = reasoning_task("math500")
    prompts = task.load(None)
    assert len(prompts) == 500
    gold = [task.grade(answer(p, rf"Hence \boxed{{{p.reference}}}.")).correct for p in prompts]
    assert gold.count(True) == 500
    pairs = [(p, q) for p, q in pairwise(prompts) if p.reference != q.reference]
    taken = [(p, q) for p, q in pairs if task.grade(answer(p, rf"Hence \boxed{{{q.reference}}}.")).correct]
    assert [(p.reference, q.reference) for p, q in taken] == [("5", "x=5")]  # which is right
    assert len(pairs) > 450
    assert len(reasoning_task("math500", {"levels": [5]}).load(None)) < 500


@pytest.mark.skipif(not (REAL / "gsm8k/test.jsonl").is_file(), reason="no copy of GSM8K")
def test_a_part_of_gsm8k_is_not_taken_for_the_whole() -> None:
    rows = len((REAL / "gsm8k/test.jsonl").read_text().splitlines())
    if rows == 1319:
        assert len(reasoning_task("gsm8k").load(None)) == 1319
        return
    with pytest.raises(RecipeError, match=f"{rows} rows here and 1319 as published"):
        reasoning_task("gsm8k").load(None)
    assert len(reasoning_task("gsm8k", {"any_size": True}).load(None)) == rows


def test_the_labs_task_has_as_many_problems_as_it_is_asked_for() -> None:
    few, many = reasoning_task("lab_arithmetic", {"n": 5}), reasoning_task("lab_arithmetic")
    assert len(few.load(None)) == len(few.load(9)) == 5
    assert len(many.load(None)) == 256
    assert few.load(None) == many.load(5)
    assert reasoning_task("lab_arithmetic", {"n": 5, "seed": 1}).load(None) != few.load(None)
