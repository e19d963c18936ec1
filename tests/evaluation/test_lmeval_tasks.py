"""Tasks of lm-eval itself on a reasoning model: `lmeval:NAME`, from YAML files, on the shipped tiny model."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from made_lmeval_tasks import MADE, TASKS, N

from lrmctl.engines.base import Sampling
from lrmctl.engines.factory import make_engine
from lrmctl.engines.hf.engine import HfEngine
from lrmctl.engines.store import Store
from lrmctl.errors import LrmctlError, NotFoundError, RecipeError
from lrmctl.lab.arithmetic import prompts
from lrmctl.reasoning.lm_eval.run import run_tasks
from lrmctl.reasoning.tasks import ReasoningTask, reasoning_task
from lrmctl.recipe.schema.engines import judge_engine_options
from lrmctl.types import Trace


def row(problem: Any, i: int) -> dict[str, Any]:
    right = int(problem.reference)
    choices = [str(right + 1), str(right), str(right + 3)]
    return {"question": problem.text, "answer": problem.reference, "choices": choices, "gold": 1, "i": i}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Task files over the lab's word problems."""
    made = tmp_path_factory.mktemp("tasks")
    for split, source, n in (("test", "heldout", N), ("few", "train", 6)):
        rows = [row(p, i) for i, p in enumerate(prompts(source, n, 0))]  # type: ignore[arg-type]
        (made / f"{split}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    head = (
        f"dataset_path: json\ndataset_kwargs: {{data_files: {{test: {made}/test.jsonl, few: {made}/few.jsonl}}}}\n"
        "test_split: test\nfewshot_split: few\n"
    )
    for name, text in TASKS.items():
        start = "" if "dataset_path" in text else head
        (made / f"{name}.yaml").write_text(f"task: {name}\n{start}{text}", encoding="utf-8")
    (made / "made.py").write_text(MADE, encoding="utf-8")
    (made / "both.yaml").write_text("group: sums\ntask: [sum_gen, sum_mc]\n", encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def named(folder: Path) -> Callable[..., ReasoningTask]:
    def make(name: str, **options: Any) -> ReasoningTask:
        return reasoning_task(f"lmeval:{name}", {"include_path": str(folder), **options})

    return make


@pytest.fixture(scope="module")
def engine(base: Path) -> HfEngine:
    return HfEngine(base, batch_size=128)


@pytest.fixture
def run(engine: HfEngine, tmp_path: Path) -> Callable[..., list[Any]]:
    def run(*tasks: ReasoningTask, samples: int = 1, limit: int | None = None, **how: Any) -> list[Any]:
        sampling = [Sampling(**{"temperature": 1.0, "max_new_tokens": 110, **how})]
        with Store(tmp_path / "c.sqlite") as store:
            return run_tasks(engine, store, list(tasks), sampling, samples, seed=1, limit=limit)

    return run


def test_every_sample_is_scored_by_the_tasks_own_code(named: Any, run: Any) -> None:
    (result,) = run(named("sum_shots", num_fewshot=0), samples=4)
    assert [t.sample for t in result.traces] == [0, 1, 2, 3] * N
    right = [f"\\boxed{{{t.prompt.reference}}}" in t.answer and t.finish_reason == "stop" for t in result.traces]
    assert [g.correct for g in result.graded] == right
    assert 0.3 < sum(right) / len(right) < 1
    assert result.graded[0].scores.keys() == {"exact_match,boxed", "exact_match,flexible"}
    assert result.reported["exact_match,boxed"] == pytest.approx(sum(right) / len(right))
    assert any(right[i] != right[i + 1] for i in range(0, len(right), 4))  # samples are not copies of the first
    said = zip(result.traces, result.graded, strict=True)
    assert all(g.extracted == t.prompt.reference for t, g in said if g.correct)


def test_stop_texts_end_the_answer_and_never_the_thinking(named: Any, run: Any) -> None:
    (result,) = run(named("sum_gen"), temperature=0.0)
    for t in result.traces:
        assert t.thinking_state == "closed"
        assert "=" in t.thinking  # a stop text of the task
        assert t.answer.startswith("The answer is")  # after the blank line with which answers begin
    assert result.reported["exact_match,boxed"] > 0.5  # its 7 tokens would not have been enough to think


def test_thinking_that_is_cut_is_wrong_whatever_numbers_it_holds(named: Any, run: Any) -> None:
    (result,) = run(named("sum_zero"), max_new_tokens=12)
    assert {t.finish_reason for t in result.traces} == {"length"}
    assert [(g.correct, g.extracted) for g in result.graded] == [(False, None)] * N
    assert result.reported == {"exact_match,boxed": 0.0, "exact_match,flexible": 0.0}


def test_a_task_that_votes_gets_its_own_number_of_completions_for_each_sample(named: Any, run: Any) -> None:
    (result,) = run(named("sum_vote"), samples=2, limit=8)
    assert [t.sample for t in result.traces] == [0, 3] * 8
    assert sum(bool(g.correct) for g in result.graded) > 8
    with pytest.raises(RecipeError, match="cannot grade stored traces"):
        result.task.grade(result.traces[0])


def test_prompts_are_lm_evals_with_the_same_examples_every_time(named: Any, run: Any) -> None:
    task = named("sum_shots")
    asked = task.load(None)
    assert asked[0].text.count("How many") == 3  # two examples and the question
    assert asked == named("sum_shots").load(None)
    assert asked[:5] == task.load(5)
    (result,) = run(task, samples=2, limit=5)
    assert [t.prompt for t in result.traces[::2]] == asked[:5]
    turns = named("sum_shots", fewshot_as_multiturn=True).load(1)[0]
    assert [m["role"] for m in turns.messages] == ["user", "assistant"] * 2 + ["user"]


def test_a_resumed_run_draws_nothing_and_says_the_same(named: Any, engine: HfEngine, tmp_path: Path) -> None:
    how = [Sampling(1.0, max_new_tokens=110)]
    with Store(tmp_path / "c.sqlite") as store:
        first = run_tasks(engine, store, [named("sum_zero")], how, 3, seed=1, limit=6)
        drawn = len(store)
        again = run_tasks(engine, store, [named("sum_zero")], how, 3, seed=1, limit=6)
        assert drawn == len(store) == 18
    assert again[0].traces == first[0].traces
    assert again[0].reported == first[0].reported


def test_stored_traces_are_graded_as_they_were(named: Any, run: Any) -> None:
    (result,) = run(named("sum_zero"), samples=2)
    again = [result.task.grade(Trace.from_json(t.to_json())) for t in result.traces]
    assert again == list(result.graded)
    failed = result.traces[0]
    assert result.task.grade(Trace(failed.prompt, "", "", "absent", "error")).correct is None


@pytest.fixture(scope="module")
def theirs(base: Path, folder: Path) -> Mapping[str, Any]:
    """What lm-eval says of the same model with its own `hf` engine."""
    import lm_eval
    from lm_eval.tasks import TaskManager

    found: Mapping[str, Any] = lm_eval.simple_evaluate(
        model="hf",
        model_args={"pretrained": str(base), "dtype": "float32", "device": "cpu"},
        tasks=["sum_mc", "sum_ll", "sum_roll"],
        task_manager=TaskManager(include_path=str(folder), include_defaults=False),
        bootstrap_iters=0,
    )
    return found


@pytest.mark.parametrize("name", ["sum_mc", "sum_ll", "sum_roll"])
def test_log_likelihood_tasks_give_what_lm_eval_gives(name: str, named: Any, run: Any, theirs: Any) -> None:
    (result,) = run(named(name), samples=4)
    expected = {
        key.partition(",")[0]: value
        for key, value in theirs["results"][name].items()
        if "," in key and "stderr" not in key
    }
    assert result.reported == pytest.approx(expected, rel=1e-5)
    assert len(expected) == 2
    assert len(result.traces) == N  # nothing is sampled: one row for each document
    assert result.sampling.temperature == 0


def test_each_row_of_a_multiple_choice_task_says_what_was_chosen(named: Any, run: Any, theirs: Any) -> None:
    (result,) = run(named("sum_mc"))
    rows = sorted(theirs["samples"]["sum_mc"], key=lambda r: r["doc_id"])
    assert [g.scores for g in result.graded] == [{"acc": r["acc"], "acc_norm": r["acc_norm"]} for r in rows]
    assert [g.correct for g in result.graded] == [r["acc"] == 1 for r in rows]
    assert 0 < sum(r["acc"] for r in rows) < N
    for t, g in zip(result.traces, result.graded, strict=True):
        assert (g.extracted == t.prompt.reference) == g.correct
        assert (t.answer, t.thinking_state) == (g.extracted, "absent")


def test_rows_of_perplexity_hold_what_it_is_made_of(named: Any, run: Any) -> None:
    (result,) = run(named("sum_roll"))
    assert {g.correct for g in result.graded} == {None}
    total = sum(g.scores["loglikelihood"] for g in result.graded)
    words = sum(g.scores["words"] for g in result.graded)
    assert result.reported["word_perplexity"] == pytest.approx(2.718281828459045 ** (-total / words))


def test_tasks_are_asked_in_the_decoding_mode_of_the_evaluation(named: Any, base: Path, tmp_path: Path) -> None:
    from lrmctl.engines.factory import make_engine
    from lrmctl.recipe.schema.decoding import ZeroThink
    from lrmctl.recipe.schema.engines import HfOptions

    engine = make_engine(base, HfOptions(), decoding=ZeroThink())
    tasks = [named("sum_zero"), reasoning_task("lab_arithmetic"), named("sum_mc")]
    with Store(tmp_path / "c.sqlite") as store:
        done = run_tasks(engine, store, tasks, [Sampling(0.6, max_new_tokens=110)], 2, seed=0, limit=8)
    assert [len(result.traces) for result in done] == [16, 16, 8]
    for result in done[:2]:  # the tiny model sometimes thinks nevertheless
        assert sum(t.skipped and not t.thinking for t in result.traces) > 8


def test_a_task_that_is_listed_twice_is_refused(named: Any, run: Any) -> None:
    with pytest.raises(RecipeError, match="'lmeval:sum_gen' is listed twice"):
        run(named("sums"), named("sum_gen"))


def test_judging_again_grades_what_can_be_graded_and_keeps_the_rest(
    base: Path, folder: Path, tmp_path: Path, section: Callable[..., Any]
) -> None:
    from lrmctl.evaluation import evaluate
    from lrmctl.evaluation.rejudge import rejudge
    from lrmctl.runs.eval_rows import read_rows

    group = {"use": "lmeval:sums", "options": {"include_path": str(folder)}}
    asked = section(n=4, safety=[], reasoning=["lab_arithmetic", group], samples=2)
    first = evaluate(base, asked, tmp_path, seed=2)
    rows = read_rows(tmp_path / "eval" / "rows.jsonl")
    assert {e["set"] for e in first["sets"]} == {"lab_arithmetic", "lmeval:sum_gen", "lmeval:sum_mc"}
    assert [e["temperature"] for e in first["sets"] if e["set"] == "lmeval:sum_mc"] == [0.0]
    again = rejudge(asked, tmp_path)
    assert read_rows(tmp_path / "eval" / "rows.jsonl") == rows
    assert [e["metrics"]["correct"] for e in again["sets"]] == [e["metrics"]["correct"] for e in first["sets"]]


class Flaky(HfEngine):
    """The engine, with a line that drops every second sample."""

    def generate(self, requests: Any) -> Any:
        from lrmctl.engines.base import Completion

        for batch in super().generate(requests):
            lost = Completion((), "", "error", error="the server hung up")
            yield [(i, lost if requests[i].sample % 2 else done) for i, done in batch]


def test_samples_that_failed_are_neither_right_nor_wrong(base: Path, named: Any, tmp_path: Path) -> None:
    engine, how = Flaky(base, batch_size=64), [Sampling(0.6, max_new_tokens=110)]
    tasks = [reasoning_task("lab_arithmetic"), named("sum_zero")]
    with Store(tmp_path / "c.sqlite") as store:
        results = run_tasks(engine, store, tasks, how, 2, seed=0, limit=8)
        assert len(store) == 8  # both tasks ask the same, and what failed is not stored
    for result in results:
        assert {g.correct for g in result.graded[1::2]} == {None}
        assert None not in {g.correct for g in result.graded[::2]}
        assert {(t.finish_reason, t.error) for t in result.traces[1::2]} == {("error", "the server hung up")}
    own = results[0]
    assert own.reported["correct"] == pytest.approx(sum(bool(g.correct) for g in own.graded[::2]) / 8)


def test_an_engine_without_log_likelihoods_is_refused_before_anything_is_drawn(named: Any, tmp_path: Path) -> None:
    server = make_engine("m", judge_engine_options({"use": "openai", "base_url": "http://127.0.0.1:1/v1"}))
    with Store(tmp_path / "c.sqlite") as store, pytest.raises(RecipeError, match="use an engine that can, hf"):
        run_tasks(server, store, [named("sum_gen"), named("sum_mc")], [Sampling()], 1, seed=0)


def test_choices_that_a_task_shuffles_stay_where_they_are(named: Any, run: Any) -> None:
    import random

    state = random.getstate()
    tasks = []
    for seed in range(3):
        random.seed(seed)
        tasks.append(named("sum_made", metadata={"count": 30}))
        assert random.random() == random.Random(seed).random()  # nobody else's luck is touched
    random.setstate(state)
    assert len({task.provenance()["sha256"] for task in tasks}) == 1
    (result,) = run(tasks[0])
    assert len(result.traces) == 30
    assert len({t.prompt.reference for t in result.traces}) == 30
    for t, g in zip(result.traces, result.graded, strict=True):
        assert (t.answer == t.prompt.reference) == g.correct  # the gold answer is of the order that was asked


def test_a_group_is_its_tasks_and_own_tasks_run_beside(named: Any, run: Any) -> None:
    group = named("sums")
    assert [part.name for part in group.parts] == ["lmeval:sum_gen", "lmeval:sum_mc"]
    assert len(group.load(3)) == 6
    results = run(group, reasoning_task("lab_arithmetic"), samples=2, limit=3)
    assert [r.task.name for r in results] == ["lmeval:sum_gen", "lmeval:sum_mc", "lab_arithmetic"]
    assert [len(r.traces) for r in results] == [6, 3, 6]


def test_a_task_file_is_named_by_its_path(folder: Path) -> None:
    task = reasoning_task(f"lmeval:{folder}/sum_gen.yaml")
    told = task.provenance()
    assert task.name == "lmeval:sum_gen"
    assert (told["rows"], len(told["sha256"]), told["num_fewshot"]) == (N, 64, 0)


def test_another_metric_can_say_what_is_right(named: Any, run: Any) -> None:
    (strict,) = run(named("sum_zero"), samples=2)
    (loose,) = run(named("sum_zero", metric="exact_match,flexible"), samples=2)
    assert [g.correct for g in loose.graded] == [
        g.scores["exact_match,flexible"] == 1 and t.finish_reason == "stop"
        for t, g in zip(strict.traces, strict.graded, strict=True)
    ]
    with pytest.raises(RecipeError, match="did you mean 'exact_match,boxed'"):
        run(named("sum_zero", metric="exact_match,box"), limit=1)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("sum_gen", {"fewshots": 3}, "did you mean 'num_fewshot'"),
        ("sum_gen", {"num_fewshot": "3"}, "it takes int"),
        ("sum_gen", {"metadata": "x"}, "it takes dict"),
        ("sum_zero", {"num_fewshot": 3}, "made without examples"),
        ("sum_begun", {}, "begins the answer itself"),
        ("sum_code", {}, "run_unsafe_code"),
        ("sum_missing", {}, "cannot be made"),
        ("no_such_file.yaml", {}, "no task file"),
        ("", {}, "names no task"),
    ],
)
def test_what_cannot_be_run_is_refused_with_the_way_out(named: Any, name: str, options: Any, says: str) -> None:
    with pytest.raises(LrmctlError, match=says):
        named(name, **options)


@pytest.mark.slow  # all of lm-eval's task files are read
def test_a_name_that_lm_eval_does_not_have_gets_a_suggestion() -> None:
    with pytest.raises(NotFoundError, match=r"no task called 'gsm8kk'(.|\n)*did you mean 'gsm8k"):
        reasoning_task("lmeval:gsm8kk")


def test_naming_our_own_tasks_does_not_import_lm_eval() -> None:
    code = (
        "import sys; from lrmctl.reasoning.tasks import reasoning_task, task_names\n"
        "[reasoning_task(n) for n in ('math500', 'gpqa_diamond', 'mmlu_pro', 'lab_arithmetic')]; task_names()\n"
        "print(*{'torch', 'transformers', 'lm_eval', 'scipy', 'datasets', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_our_task_and_lm_evals_read_the_same_stored_completions_alike(
    named: Any, engine: HfEngine, tmp_path: Path
) -> None:
    how = [Sampling(1.2, max_new_tokens=110)]
    with Store(tmp_path / "c.sqlite") as store:
        (ours,) = run_tasks(engine, store, [reasoning_task("lab_arithmetic")], how, 8, seed=1, limit=N)
        drawn = len(store)
        (theirs,) = run_tasks(engine, store, [named("sum_zero")], how, 8, seed=1)
        assert drawn == len(store) == 8 * N  # the same questions, the same completions
    said = [g.correct for g in ours.graded]
    assert said == [g.correct for g in theirs.graded]
    assert 0.2 < sum(bool(x) for x in said) / len(said) < 1
    assert ours.reported["correct"] == pytest.approx(theirs.reported["exact_match,boxed"])
