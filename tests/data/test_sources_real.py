"""Real data sets as sources: what is read, what is recorded, and what is said when a set cannot be had."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from lrmctl.data.builtin import mathematics, safety
from lrmctl.data.catalog import CATALOG
from lrmctl.data.sources import provenance
from lrmctl.errors import LrmctlError, NotFoundError, RecipeError
from lrmctl.hooks import registry
from lrmctl.recipe.schema.sections import Mixed
from lrmctl.testing.checks import check_source

real = pytest.mark.skipif(not os.environ.get("LRMCTL_DATA_DIR"), reason="LRMCTL_DATA_DIR is not set")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder, and no hub."""
    monkeypatch.setenv("LRMCTL_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


def lay(data: Path, file: str, rows: list[dict[str, object]]) -> Path:
    path = data / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@real
def test_star_1_rows_become_demonstrations_with_their_thinking():
    rows = safety.star_1().demonstrations()
    assert len(rows) >= 700
    assert {row.prompt.kind for row in rows} == {"harmful"}
    assert all(row.thinking and row.answer and "<think>" not in row.thinking + row.answer for row in rows)


@real
@pytest.mark.parametrize(("name", "rows"), [("advbench", 520), ("harmbench-val", 80)])
def test_a_complete_local_file_has_the_known_hash_and_number_of_rows(name, rows):
    source = registry.make("source", name)
    told = source.provenance()
    assert (told["rows"], told["expected_rows"], told["sha256"]) == (rows, rows, CATALOG[name].sha256)
    assert {p.kind for p in source.prompts()} == {"harmful"}
    check_source(source)


@real
def test_the_answer_of_every_real_gsm8k_row_is_a_number():
    source = mathematics.gsm8k(path=f"{os.environ['LRMCTL_DATA_DIR']}/gsm8k/test.jsonl")
    prompts = source.prompts()
    assert len(prompts) == source.provenance()["rows"]
    assert all(re.fullmatch(r"-?\d+(\.\d+)?", p.reference or "") for p in prompts)
    assert all(p.text.endswith(mathematics.INSTRUCTION) for p in prompts)


@real
def test_no_problem_of_math_500_gets_into_the_training_problems():
    source = mathematics.mathematics(path=f"{os.environ['LRMCTL_DATA_DIR']}/math500/test.jsonl")
    assert source.prompts() == []
    assert source.provenance() | {"rows": 500, "kept": 0} == source.provenance()


@real
def test_the_reference_read_from_a_math_solution_is_the_published_answer(monkeypatch, tmp_path):
    file = f"{os.environ['LRMCTL_DATA_DIR']}/math500/test.jsonl"
    monkeypatch.setenv("LRMCTL_DATA_DIR", str(tmp_path))  # MATH-500 is not known here, so nothing is left out
    published = [json.loads(line)["answer"] for line in Path(file).read_text().splitlines()]
    found = [p.reference for p in mathematics.mathematics(path=file).prompts()]
    same = sum("".join(a.split()) == "".join(b.split()) for a, b in zip(found, published, strict=True))
    assert same >= 490


def test_a_safechain_response_needs_no_opening_tag(data):
    lay(
        data,
        "safechain/train.jsonl",
        [
            {"instruction": "do harm", "label": "vanilla_harmful", "response": "bad\n</think>\n\nNo."},
            {"instruction": "be kind", "label": "adversarial_benign", "response": "<think>ok</think>Yes."},
            {"instruction": "cut", "label": "vanilla_harmful", "response": "never ended"},
        ],
    )
    source = safety.safechain()
    assert [(d.prompt.kind, d.thinking, d.answer) for d in source.demonstrations()] == [
        ("harmful", "bad", "No."),
        ("benign", "ok", "Yes."),
    ]
    assert source.provenance()["without_closed_thinking"] == 1
    assert [d.prompt.text for d in safety.safechain(labels=["adversarial_benign"]).demonstrations()] == ["be kind"]


def test_a_wildjailbreak_attack_is_asked_in_its_own_words(data):
    path = data / "wildjailbreak" / "train.tsv"
    path.parent.mkdir()
    rows = [
        "vanilla\tadversarial\tcompletion\tdata_type",
        "plain harm\t\tno\tvanilla_harmful",
        "plain harm\tdressed up\tno\tadversarial_harmful",
        "plain good\t\tyes\tvanilla_benign",
    ]
    path.write_text("\n".join(rows) + "\n")
    assert [p.text for p in safety.wildjailbreak().prompts()] == ["plain harm", "dressed up"]
    assert [p.kind for p in safety.wildjailbreak(types=["vanilla_benign"]).prompts()] == ["benign"]
    with pytest.raises(RecipeError, match="vanilla_harmfull"):
        safety.wildjailbreak(types=["vanilla_harmfull"])


def test_direct_refusal_is_one_thought_and_the_published_refusals(data):
    lay(data, "direct_refusal/train.jsonl", [{"refusal": "Question: do harm\nAnswer: I will not.", "text": "x"}])
    (row,) = safety.direct_refusal().demonstrations()
    assert (row.prompt.text, row.thinking, row.answer) == (
        "do harm",
        "I should not answer this question!",
        "I will not.",
    )


def test_direct_refusals_can_be_made_of_any_harmful_prompts(data):
    lay(data, "star1/train.jsonl", [{"id": str(i), "question": f"harm {i}", "response": ""} for i in range(3)])
    source = safety.direct_refusal(of={"use": "star-1", "options": {"n": 2}}, refusal="No.")
    rows = source.demonstrations()
    assert len(rows) == 2
    assert {(row.thinking, row.answer) for row in rows} == {(safety.FIXED_THOUGHT, "No.")}
    assert (source.provenance()["name"], source.provenance()["refusal"]) == ("star-1", "No.")


def test_n_rows_are_the_same_ones_every_time_and_in_order(data):
    lay(data, "alpaca/train.jsonl", [{"instruction": f"{i:03}", "input": ""} for i in range(200)])
    first = [p.text for p in safety.alpaca(n=20).prompts()]
    assert first == sorted(first)
    assert first == [p.text for p in safety.alpaca(n=20).prompts()]
    assert first != [p.text for p in safety.alpaca(n=20, seed=1).prompts()]


def test_the_lock_gets_licence_address_hash_and_numbers(data):
    file = lay(data, "gsm8k/train.jsonl", [{"question": "1+1?", "answer": "two\n#### 2"}])
    (told,) = provenance([Mixed(use="gsm8k", options={"n": 1})])
    assert told["file"] == str(file)
    assert (told["license"], told["rows"], told["expected_rows"], told["n"]) == ("MIT", 1, 7473, 1)
    assert told["url"].startswith("https://huggingface.co/datasets/")
    assert re.fullmatch("[0-9a-f]{64}", told["sha256"])


def test_local_sources_say_where_their_rows_came_from(tmp_path):
    file = lay(tmp_path, "mine.jsonl", [{"prompt": "hello", "kind": "benign"}])
    (told,) = provenance([Mixed(use="jsonl", options={"path": str(file)})])
    assert (told["file"], told["rows"], len(told["sha256"])) == (str(file), 1, 64)


@pytest.mark.e2e
@pytest.mark.usefixtures("data")
def test_a_set_that_cannot_be_had_says_how_to_get_it():
    with pytest.raises(NotFoundError) as caught:
        safety.wildjailbreak().prompts()
    assert "hf auth login" in caught.value.fix
    assert "$LRMCTL_DATA_DIR/wildjailbreak/train.tsv" in caught.value.fix


def test_a_file_of_another_set_is_refused_with_the_columns_it_has(data):
    file = lay(data, "other.jsonl", [{"prompt": "hello", "target": "x"}])
    with pytest.raises(RecipeError, match="no column question, response; they have prompt, target"):
        safety.star_1(path=str(file)).prompts()


def test_rows_without_thinking_are_no_demonstrations(data):
    lay(data, "math/train.jsonl", [{"problem": "1+1?", "solution": "\\boxed{2}", "level": "Level 1", "type": "x"}])
    with pytest.raises(RecipeError, match="prompts only"):
        mathematics.mathematics(path=str(data / "math" / "train.jsonl")).demonstrations()


def test_gsm8ks_worked_solution_is_the_thinking(data):
    worked = {"question": "1+1?", "answer": "Add: 1+1=<<1+1=2>>2 apples.\n#### 2"}
    lay(data, "gsm8k/train.jsonl", [worked, {"question": "2+2?", "answer": "#### 4"}])
    (row,) = mathematics.gsm8k().demonstrations()
    assert (row.thinking, row.answer, row.prompt.reference) == ("Add: 1+1=2 apples.", "\\boxed{2}", "2")


def test_seed_tasks_have_one_thought_and_the_answer_of_a_person(data):
    tasks = [
        {
            "id": f"seed_task_{i}",
            "name": "n",
            "instruction": "Name a colour.",
            "instances": [{"input": text, "output": "red"}],
        }
        for i, text in enumerate(("", "warm " * 50))
    ]
    file = lay(data, "mine.jsonl", tasks)
    first, second = safety.self_instruct_seed(path=str(file)).demonstrations()
    assert (first.prompt.text, first.answer, first.prompt.kind) == ("Name a colour.", "red", "benign")
    assert first.thinking == second.thinking == safety.FIXED_HELP
    assert second.prompt.text.startswith("Name a colour.\n\nwarm")
    (short,) = safety.self_instruct_seed(path=str(file), longest=20, thought="Fine.").demonstrations()
    assert (short.prompt, short.thinking) == (first.prompt, "Fine.")


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize("name", ["star-1", "safechain", "wildjailbreak", "gsm8k", "math", "direct-refusal"])
def test_making_a_source_reads_nothing(name):
    registry.make("source", name)  # the folder is empty and the hub is off


@pytest.mark.parametrize("text", ['{"a": 1', '{"a": 1}'])
def test_a_json_file_that_is_none_is_one_clear_error(data, text):
    file = data / "broken.json"
    file.write_text(text)
    with pytest.raises(LrmctlError, match=r"broken\.json.*(is not JSON|nothing says where the rows are)"):
        safety.star_1(path=str(file)).prompts()
