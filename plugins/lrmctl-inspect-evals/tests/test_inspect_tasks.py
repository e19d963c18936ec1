"""Prompts of real Inspect tasks: small ones of these tests, and StrongREJECT from a local copy of its data."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from lrmctl.errors import NotFoundError, RecipeError
from lrmctl.hooks import make
from lrmctl.testing import check_benchmark

pytest.importorskip("inspect_evals", exc_type=ImportError)
DATA = Path(os.environ.get("LRMCTL_DATA_DIR", "nowhere")) / "strongreject" / "strongreject_dataset.csv"
TASKS = """
from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessageSystem, ChatMessageTool, ChatMessageUser

ASKED = {
    "plain": [Sample("Do hazard-1?", id="a", metadata={"topic": "hazard-1", "odd": [1]}), Sample("And hazard-2?")],
    "talk": [Sample([ChatMessageSystem(content="Be brief."), ChatMessageUser(content="What is hazard-3?")], id=7)],
    "twice": [Sample("one", id="x"), Sample("two", id="x")],
    "choices": [Sample("which?", choices=["a", "b"])],
    "files": [Sample("read it", files={"a": "b"})],
    "tool": [Sample([ChatMessageTool(content="found")])],
}

@task
def hazards(form: str = "plain"):
    return Task(dataset=MemoryDataset(ASKED[form], name="made-up"), version=4)

@task
def offline():
    raise ConnectionError("no network here")
"""


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`task(form)`: the benchmark of a task in a module of its own."""
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "evals.py").write_text(TASKS)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("my_package", "my_package.evals"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return lambda form="plain", kind="harmful": make(
        "benchmark", "inspect-task", task="my_package.evals:hazards", kind=kind, args={"form": form}
    )


@pytest.mark.parametrize("form", ["plain", "talk", "twice"])
def test_it_keeps_the_contract_of_benchmarks(task: Any, form: str) -> None:
    check_benchmark(task(form))


def test_samples_become_prompts_with_their_ids_metadata_and_turns(task: Any) -> None:
    first, second = task("plain").load()
    assert (first.id, first.text, first.kind) == (
        "inspect/my_package.evals:hazards/a",
        "Do hazard-1?",
        "harmful",
    )
    assert first.meta == {"topic": "hazard-1"}
    assert second.id == "inspect/my_package.evals:hazards/2"
    (talk,) = task("talk", "benign").load()
    assert [m["role"] for m in talk.messages] == ["system", "user"]
    assert [p.id.rpartition("/")[2] for p in task("twice").load()] == ["x", "x-2"]


def test_a_result_says_which_task_of_which_version_was_asked(task: Any) -> None:
    told = task("plain").provenance()
    assert (told["task_version"], told["args"], told["dataset"], told["prompts"]) == (
        "4",
        {"form": "plain"},
        "made-up",
        2,
    )
    assert told["inspect-evals"]
    assert task("plain").split == "form=plain"


@pytest.mark.parametrize("form", ["choices", "files", "tool"])
def test_a_sample_that_is_no_plain_prompt_is_refused(task: Any, form: str) -> None:
    with pytest.raises(RecipeError, match=r"sample 1 of my_package\.evals:hazards"):
        task(form).load()


def test_what_cannot_be_had_is_an_error_that_says_why(task: Any) -> None:
    with pytest.raises(NotFoundError, match="no Inspect task 'strong_rejectt'"):
        make("benchmark", "inspect-task", task="strong_rejectt", kind="harmful").load()
    with pytest.raises(NotFoundError, match="cannot be had: ConnectionError: no network here"):
        make("benchmark", "inspect-task", task="my_package.evals:offline", kind="harmful").load()
    with pytest.raises(RecipeError, match="does not take these arguments"):
        make("benchmark", "inspect-task", task="my_package.evals:hazards", kind="harmful", args={"x": 1}).load()
    with pytest.raises(RecipeError, match="kind is harmful or benign"):
        task(kind="bad")


@pytest.mark.skipif(not DATA.is_file(), reason="no copy of StrongREJECT under LRMCTL_DATA_DIR")
def test_strongreject_as_inspect_evals_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from inspect_evals.strong_reject.strong_reject import PATH_TO_STRONG_REJECT_CSV
    from inspect_evals.utils import load_dataset

    monkeypatch.setattr(load_dataset, "INSPECT_EVALS_CACHE_PATH", tmp_path)
    copy = Path(load_dataset._get_cached_path("strong_reject", PATH_TO_STRONG_REJECT_CSV, "strong_reject"))
    copy.parent.mkdir(parents=True)
    shutil.copy(DATA, copy)
    benchmark = make("benchmark", "inspect-task", task="strong_reject", kind="harmful")
    check_benchmark(benchmark)
    prompts = benchmark.load()
    assert len(prompts) == 313
    assert {"category", "source"} <= set(prompts[0].meta)
    assert benchmark.provenance()["prompts"] == 313
