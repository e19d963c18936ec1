"""The traps that a harness for plain language models sets for reasoning models: what lm-eval does, and what we do.

Each test runs both, on the same tiny model. The numbers are those of docs/traps.md.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from lrmctl.engines.base import GenerationRequest, Sampling
from lrmctl.engines.hf.engine import HfEngine
from lrmctl.engines.store import Store, sample_traces
from lrmctl.reasoning.tasks import grade_mathematics, reasoning_task
from lrmctl.types import Trace

PROMPTS = tuple(reasoning_task("lab_arithmetic").load(6))
WARM = Sampling(0.8, max_new_tokens=110)
GREEDY = {"until": [], "max_gen_toks": 110, "do_sample": False, "temperature": 0.0}
Theirs = Callable[..., list[list[str]]]


def ours(model: Path, how: Sampling, folder: Path, samples: int = 1) -> list[Trace]:
    with Store(folder / "c.sqlite") as store:
        return sample_traces(HfEngine(model), store, PROMPTS, how, samples, seed=0)


def test_1_cut_thinking_is_not_an_answer(base: Path, theirs: Theirs, tmp_path: Path) -> None:
    cut = {**GREEDY, "max_gen_toks": 12}
    scored = [said for said, *_ in theirs(kwargs=cut, args={"think_end_token": "</think>"})]
    assert all(len(text) > 10 for text in scored)  # the thought itself is what lm-eval scores
    traces = ours(base, Sampling(0.0, max_new_tokens=12), tmp_path)
    assert [t.thinking.strip() for t in traces] == [text.strip() for text in scored]
    assert {(t.answer, t.thinking_state, t.finish_reason) for t in traces} == {("", "unclosed", "length")}
    assert {grade_mathematics(t).correct for t in traces} == {False}


def test_2_think_tags_that_are_special_tokens_are_found(special_tags: Path, theirs: Theirs, tmp_path: Path) -> None:
    scored = [said for said, *_ in theirs(special_tags, kwargs=GREEDY, args={"think_end_token": "</think>"})]
    assert all("</think>" not in text and "starts" in text for text in scored)  # thought and answer in one
    traces = ours(special_tags, Sampling(0.0, max_new_tokens=110), tmp_path)
    assert {t.thinking_state for t in traces} == {"closed"}
    assert all("starts" in t.thinking and "starts" not in t.answer and "boxed" in t.answer for t in traces)


def test_3_a_tasks_stop_texts_do_not_end_the_thinking(base: Path, theirs: Theirs, tmp_path: Path) -> None:
    stops = {**GREEDY, "until": ["starts"]}
    scored = [said for said, *_ in theirs(kwargs=stops)]
    assert all("boxed" not in text for text in scored)  # ended in mid-thought
    traces = ours(base, Sampling(0.0, max_new_tokens=110, stop=("starts", "\\boxed")), tmp_path)
    assert all("starts" in t.thinking and t.thinking_state == "closed" for t in traces)
    assert all(t.answer and "boxed" not in t.answer for t in traces)  # in the answer they do


def test_4_the_token_limit_leaves_room_for_thinking(base: Path) -> None:
    from lm_eval.models.huggingface import HFLM

    from lrmctl.recipe.schema.evaluation import EvalSection

    assert HFLM(pretrained=str(base), device="cpu").max_gen_toks == 256  # for every task whose YAML names none
    assert EvalSection().max_new_tokens == 16_384


def test_5_a_temperature_is_a_temperature(base: Path, theirs: Theirs, tmp_path: Path) -> None:
    plain = {"until": [], "max_gen_toks": 110, "do_sample": False}  # as gsm8k.yaml and most others say
    said = theirs(kwargs=plain, repeats=4, gen_kwargs={"temperature": 0.8}, task=TAKE_ALL)
    assert all(len(set(repeats)) == 1 for repeats in said)  # four times the same
    traces = ours(base, WARM, tmp_path, samples=4)
    assert len({(t.prompt.id, t.thinking) for t in traces}) > len(PROMPTS)


TAKE_ALL = {"filter_list": [{"name": "all", "filter": [{"function": "take_first_k", "k": 4}]}]}


@pytest.mark.e2e
def test_8_no_model_gets_another_models_completions(
    base: Path, special_tags: Path, theirs: Theirs, tmp_path: Path
) -> None:
    from lm_eval.models.huggingface import HFLM

    asked: list[int] = []

    class Counting(HFLM):  # type: ignore[misc]
        def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
            asked.append(len(requests))
            return super().generate_until(requests, disable_tqdm)  # type: ignore[no-any-return]

    cache = str(tmp_path / "cache")
    for model in (base, special_tags):
        theirs(Counting(pretrained=str(model), device="cpu"), kwargs=GREEDY, use_cache=cache)
    assert asked == [6]  # the second model was never asked
    for model in (base, special_tags):
        ours(model, Sampling(0.0, max_new_tokens=110), tmp_path)
    rows = sqlite3.connect(tmp_path / "c.sqlite").execute("select count(*), count(distinct engine) from completions")
    assert rows.fetchone() == (12, 2)


def test_10_thinking_that_the_template_opened_is_thinking(base: Path, theirs: Theirs, tmp_path: Path) -> None:
    engine = HfEngine(base)
    assert engine.render(PROMPTS[0]).endswith("<think>\n")
    cut = [said for said, *_ in theirs(kwargs={**GREEDY, "max_gen_toks": 12})]
    assert all("<think>" not in text and "</think>" not in text for text in cut)  # neither tag: looks like an answer
    assert {t.thinking_state for t in ours(base, Sampling(0.0, max_new_tokens=12), tmp_path)} == {"unclosed"}


def test_a_seed_belongs_to_a_prompt_and_a_sample() -> None:
    seeds = {GenerationRequest(text, WARM, sample).row_seed for text in ("a", "b") for sample in range(4)}
    assert len(seeds) == 8
    assert GenerationRequest("a", WARM, 1).row_seed == GenerationRequest("a", Sampling(0.0), 1).row_seed


@pytest.mark.parametrize("seed", [1, 2])
def test_9_choices_have_one_order(seed: int) -> None:
    """lm-eval's GPQA shuffles by the process's generator; ours is the document's own (tests/reasoning)."""
    import random

    from datasets import Dataset
    from lm_eval.tasks.gpqa.cot_zeroshot.utils import process_docs

    doc = {"Correct Answer": "r", **{f"Incorrect Answer {i}": str(i) for i in (1, 2, 3)}}
    orders = set()
    for i in range(8):
        random.seed(seed * 100 + i)
        found = process_docs(Dataset.from_list([{**doc, "n": f"{seed}-{i}"}]))
        orders.add(tuple(found[0]["choices"]))
    assert len(orders) > 1
