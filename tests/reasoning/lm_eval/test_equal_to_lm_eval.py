"""Our scores and lm-eval's own, on the same completions: equal where lm-eval reads the form, and where it does not.

The completions are made from gold solutions of the real sets, right and corrupted, in a form that both read; lm-eval's
side is the installed task: its filters, its metric, its `process_results`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

from lrmctl.reasoning.choices import grade_choice
from lrmctl.reasoning.grading import grade_integer, grade_mathematics
from lrmctl.reasoning.tasks import reasoning_task
from lrmctl.types import Prompt, Trace

REAL = Path(os.environ.get("LRMCTL_DATA_DIR", "nowhere"))
THEIRS = Path(find_spec("lm_eval").origin).parent / "tasks"  # type: ignore[union-attr, arg-type]
needs_data = pytest.mark.skipif(
    not all((REAL / name / "test.jsonl").is_file() for name in ("gsm8k", "math500")),
    reason="no copy of GSM8K, MATH-500",
)
EACH = 250


class Recorded(NamedTuple):
    """A completion's answer segment, with lm-eval's document for it."""

    doc: Mapping[str, Any]
    prompt: Prompt
    answer: str


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (REAL / name / "test.jsonl").read_text(encoding="utf-8").splitlines()]


def corrupted(gold: str, rng: Random) -> str:
    """Another number: off by a little, the sign, or a digit more."""
    value = int(gold.replace(",", ""))
    return str(rng.choice([value + rng.randint(1, 9), -value if value else 1, value * 10 + rng.randint(1, 9)]))


def of_gsm8k() -> Iterator[Recorded]:
    """The gold reasoning, then the same number in our box and behind lm-eval's mark."""
    rng = Random(0)
    for i, (row, prompt) in enumerate(
        zip(rows("gsm8k"), reasoning_task("gsm8k", {"any_size": True}).load(EACH), strict=False)
    ):
        reasoning, _, gold = row["answer"].rpartition("####")
        final = gold.strip() if i % 2 else corrupted(gold.strip(), rng)
        yield Recorded(row, prompt, f"{reasoning.strip()}\nSo the answer is \\boxed{{{final}}}.\n#### {final}")


def of_math500() -> Iterator[Recorded]:
    """The gold answer, one written otherwise, or another problem's, in the forms that each scorer looks for.

    Answers with a dollar sign are left out: lm-eval takes what is between dollar signs (see the forms below).
    """
    every = [row for row in rows("math500") if "$" not in row["answer"]]
    prompts = {prompt.id: prompt for prompt in reasoning_task("math500").load(None)}
    rng = Random(1)
    for i, row in enumerate(every[:EACH]):
        final = row["answer"]
        if i % 5 == 4:
            final = final.replace("\\frac", "\\dfrac")
        elif i % 2:
            final = rng.choice([r["answer"] for r in every if r["answer"] != final])
        text = f"\\boxed{{{final}}}\nFinal Answer: The final answer is ${final}$. I hope it is correct."
        yield Recorded(row, prompts[f"math-500/{row['unique_id']}"], text)


@cache
def lm_evals_gsm8k(folder: Path) -> Any:
    return theirs(folder, "gsm8k/gsm8k.yaml", [{"question": "Q", "answer": "so\n#### 18"}], "num_fewshot: 0\n")


def theirs(folder: Path, yaml: str, docs: Sequence[Mapping[str, Any]], extra: str = "") -> Any:
    """lm-eval's own task object on other documents."""
    from lm_eval.tasks import TaskManager

    data = folder / "docs.jsonl"
    data.write_text("".join(json.dumps(doc) + "\n" for doc in docs), encoding="utf-8")
    splits = ", ".join(f"{name}: {data}" for name in ("train", "test", "validation"))
    text = (
        f"include: {THEIRS / yaml}\ntask: here_{folder.name}\ndataset_path: json\ndataset_name: null\n"
        f"dataset_kwargs: {{data_files: {{{splits}}}}}\n{extra}"
    )
    (folder / "task.yaml").write_text(text, encoding="utf-8")
    (made,) = TaskManager(include_defaults=False).load([str(folder / "task.yaml")])["tasks"].values()
    return made


def said_by(made: Any, doc: Mapping[str, Any], text: str) -> dict[str, Any]:
    """lm-eval's metrics by filter, on plain text: no code of ours on the way."""
    from lm_eval.api.instance import Instance

    instance = Instance("generate_until", doc, ("", {}), 0, resps=[text])
    made._instances = [instance]
    made.apply_filters()
    return {name: made.process_results(doc, [found]) for name, found in instance.filtered_resps.items()}


def trace(prompt: Prompt, answer: str) -> Trace:
    return Trace(prompt, "so", answer, "closed")


@needs_data
def test_500_completions_get_the_score_that_lm_eval_gives_them(tmp_path: Path) -> None:
    from lm_eval.tasks.hendrycks_math import utils as hendrycks

    gsm8k = lm_evals_gsm8k(tmp_path)
    pairs: list[tuple[bool, bool]] = []
    for one in of_gsm8k():
        found = said_by(gsm8k, one.doc, one.answer)
        assert found["strict-match"] == found["flexible-extract"]
        ours = grade_mathematics(trace(one.prompt, one.answer)).correct
        pairs.append((bool(ours), found["strict-match"]["exact_match"] == 1))
    for one in of_math500():
        ours = grade_mathematics(trace(one.prompt, one.answer)).correct
        pairs.append((bool(ours), hendrycks.process_results(dict(one.doc), [one.answer])["exact_match"] == 1))
    right = sum(ours for ours, _ in pairs)
    print(f"\n{sum(a == b for a, b in pairs)} of {len(pairs)} agree; {right} are right")
    assert len(pairs) == 2 * EACH
    assert 150 < right < 350  # both words are tried
    assert [i for i, (ours, theirs_) in enumerate(pairs) if ours != theirs_] == []


@needs_data
def test_minerva_agrees_where_its_parser_is_installed() -> None:
    try:
        from lm_eval.tasks.minerva_math import utils as minerva
    except (ImportError, AssertionError) as error:
        pytest.skip(f"lm-eval's minerva_math does not import: {error}")
    differ = []
    for i, one in enumerate(of_math500()):
        doc = {**one.doc, "answer": minerva.normalize_final_answer(one.doc["answer"])}
        ours = bool(grade_mathematics(trace(one.prompt, one.answer)).correct)
        if ours != bool(minerva.process_results(doc, [one.answer])["exact_match"]):
            differ.append((i, one.doc["answer"], one.answer))
    assert differ == []


NUMBER = Prompt.user("p", "how many?", "reasoning", reference="33")
AIME_FORMS = [
    # answer, lm-eval's aime24 and aime25
    (r"So \boxed{33}", 1),
    (r"So \boxed{033}", 0),
    (r"So \boxed{33.}", 0),
    (r"So \boxed{\text{33}}", 0),
    (r"So \fbox{33}", 0),
    (r"So \boxed {33}", 0),
]


@pytest.mark.parametrize(("answer", "lm_eval_says"), AIME_FORMS)
def test_forms_of_an_integer(answer: str, lm_eval_says: int) -> None:
    from lm_eval.tasks.aime import utils

    assert utils.process_results({"answer": "33"}, [answer])["exact_match"] == lm_eval_says
    assert grade_integer(trace(NUMBER, answer)).correct is True


GSM8K_FORMS = [
    # answer, lm-eval's strict-match and flexible-extract on gsm8k
    (r"The answer is \boxed{18}.", 0, 1),
    (r"The answer is \boxed{\$18.00}.", 0, 0),
    (r"The answer is \boxed{18.0}", 0, 0),
    (r"The answer is \boxed{18}, which is 9 times 2.", 0, 0),
    (r"\boxed{18 \text{ eggs}} at 7 am", 0, 0),
]


@pytest.mark.parametrize(("answer", "strict", "flexible"), GSM8K_FORMS)
def test_forms_of_an_amount(tmp_path: Path, answer: str, strict: int, flexible: int) -> None:
    found = said_by(lm_evals_gsm8k(tmp_path), {"question": "Q", "answer": "so\n#### 18"}, answer)
    assert (found["strict-match"]["exact_match"], found["flexible-extract"]["exact_match"]) == (strict, flexible)
    prompt = Prompt.user("p", "how much?", "reasoning", reference="18")
    assert grade_mathematics(trace(prompt, answer)).correct is True


MATH_FORMS = [
    # answer, lm-eval's hendrycks_math and hendrycks_math500
    (r"It is $\frac{1}{2}$", 1),
    (r"It is \boxed{\frac{1}{2}}", 0),
    (r"With $x=1$ it is $\boxed{\frac{1}{2}}$", 0),
    (r"\boxed{0.50}", 0),
    (r"It costs \$2, and the share is \boxed{\frac{1}{2}}", 0),
]


@pytest.mark.parametrize(("answer", "lm_eval_says"), MATH_FORMS)
def test_forms_of_an_expression(answer: str, lm_eval_says: int) -> None:
    from lm_eval.tasks.hendrycks_math import utils

    assert utils.process_results({"solution": r"\boxed{\frac12}"}, [answer])["exact_match"] == lm_eval_says
    prompt = Prompt.user("p", "how much?", "reasoning", reference=r"\frac{1}{2}")
    boxed = "boxed" in answer
    assert grade_mathematics(trace(prompt, answer)).correct is boxed  # bare LaTeX in passing is not a final answer


CHOICES = ["12 m", "15 m", "18 m", "24 m"]
CHOICE_FORMS = [
    # answer, lm-eval's gpqa_diamond_cot_zeroshot (flexible-extract), mmlu_pro
    ("The answer is (C).", 1, 1),
    (r"\boxed{C}", 0, 0),
    (r"\boxed{\text{C}}", 0, 0),
    ("Answer: C", 1, 0),
    (r"Neither (A) nor (B): \boxed{C}", 0, 0),
]


@pytest.fixture(scope="module")
def choice_tasks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    wrong = {f"Incorrect Answer {k}": f"wrong {k}" for k in (1, 2, 3)}
    asked = [{"Question": f"Q{i}?", "Correct Answer": "right", **wrong} for i in range(8)]
    gpqa = theirs(tmp_path_factory.mktemp("gpqa"), "gpqa/cot_zeroshot/gpqa_diamond_cot_zeroshot.yaml", asked)
    few = {"question": "Q?", "options": ["a", "b", "c", "d"], "answer": "C", "cot_content": "A: so", "category": "law"}
    pro = theirs(tmp_path_factory.mktemp("pro"), "mmlu_pro/mmlu_pro_law.yaml", [few], "num_fewshot: 0\n")
    return gpqa, pro


@pytest.mark.parametrize(("answer", "gpqa_says", "pro_says"), CHOICE_FORMS)
def test_forms_of_a_letter(choice_tasks: tuple[Any, Any], answer: str, gpqa_says: int, pro_says: int) -> None:
    gpqa, pro = choice_tasks
    doc = {"answer": "(C)", "choices": CHOICES}
    assert said_by(gpqa, doc, answer)["flexible-extract"]["exact_match"] == gpqa_says
    assert said_by(pro, {"answer": "C"}, answer)["custom-extract"]["exact_match"] == pro_says
    prompt = Prompt.user("p", "which?", "reasoning", reference="C", meta={"choices": CHOICES})
    assert grade_choice(trace(prompt, answer)).correct is True


def test_lm_eval_takes_thinking_that_was_never_closed_for_an_answer(tmp_path: Path) -> None:
    thought = "<think> I could try 18. Or is it 5? No: 18"
    found = said_by(lm_evals_gsm8k(tmp_path), {"question": "Q", "answer": "so\n#### 18"}, thought)
    assert found["flexible-extract"]["exact_match"] == 1
    prompt = Prompt.user("p", "how much?", "reasoning", reference="18")
    assert grade_mathematics(Trace(prompt, thought, "", "unclosed", "length")).correct is False


def test_lm_eval_shuffles_gpqas_choices_by_the_global_generator(choice_tasks: tuple[Any, Any]) -> None:
    import random

    from datasets import Dataset

    gpqa, _ = choice_tasks
    rows = Dataset.from_list(list(gpqa.dataset["train"]))  # in memory: else the first order ever is in a file cache
    state = random.getstate()
    orders = set()
    for seed in range(6):
        random.seed(seed)
        orders.add(tuple(gpqa.config.process_docs(rows)["answer"]))
    random.setstate(state)
    assert len(orders) > 1
