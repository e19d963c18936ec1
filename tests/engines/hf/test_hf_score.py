"""Log-likelihoods of given texts are those of lm-evaluation-harness's own `hf` model."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lrmctl.engines.hf.engine import HfEngine
from lrmctl.errors import LrmctlError

PAIRS = [
    ("what is 2 + 2?", " 4"),
    ("what is 2 + 2? ", "4"),  # the space moves to the continuation
    ("what is 2 + 2?  \n", "4 and no more"),
    ("", "no context at all"),
    ("", " begins with a space"),
    ("A or B?", " A"),
    ("A or B?", " B"),
    ("A or B?", " A, since"),
    ("x" * 600, " long context"),  # cut from the left
    ("short", "y" * 80),
    ("ends in a tag<think>", "</think>"),
]
TEXTS = ["short", "", "a text " * 120, "x" * 511, "x" * 512, "x" * 513, "<think>so</think> be it"]


@pytest.fixture(scope="module", params=["random", "lab"])
def both(request: pytest.FixtureRequest, checkpoint_of: Callable[..., Path]) -> tuple[HfEngine, Any]:
    """Our engine and lm-eval's model of the same checkpoint, which does not know lm-eval from us."""
    from lm_eval.models.huggingface import HFLM

    from lrmctl.lab import base_path

    path = base_path() if request.param == "lab" else checkpoint_of(seed=3)
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    theirs = HFLM(pretrained=str(path), batch_size=4, device="cpu", dtype="float32")
    return HfEngine(path, device="cpu"), theirs


def asked(*args: str) -> Any:
    return SimpleNamespace(args=args, task_name="t")


def test_continuations_score_as_in_lm_eval(both: tuple[HfEngine, Any]) -> None:
    engine, hflm = both
    expected = hflm.loglikelihood([asked(*pair) for pair in PAIRS], disable_tqdm=True)
    for size in (None, 1, 3):
        engine.batch_size = size
        found = engine.loglikelihood(PAIRS)
        assert [one.logprob for one in found] == pytest.approx([logprob for logprob, _ in expected], abs=1e-4)
        assert [one.greedy for one in found] == [greedy for _, greedy in expected]


def test_a_continuation_that_the_model_would_say_is_greedy(both: tuple[HfEngine, Any]) -> None:
    import torch

    engine, hflm = both
    context = "what is 2 + 2?"
    ids = engine.tokenizer.encode(context)
    with torch.no_grad():
        best = int(engine.model(torch.tensor([ids])).logits[0, -1].argmax())
    said = engine.tokenizer.decode([best])
    if engine.tokenizer.encode(context + said) != [*ids, best]:
        said, context = " 4", "2 + 2 ="
    assert engine.loglikelihood([(context, said)])[0].greedy == hflm.loglikelihood([asked(context, said)])[0][1]


def test_whole_texts_score_as_in_lm_eval(both: tuple[HfEngine, Any]) -> None:
    engine, hflm = both
    texts = [text for text in TEXTS if text]
    expected = hflm.loglikelihood_rolling([asked(text) for text in texts], disable_tqdm=True)
    for size in (None, 2):
        engine.batch_size = size
        assert engine.rolling_loglikelihood(texts) == pytest.approx(expected, abs=1e-4, rel=1e-6)
    assert engine.rolling_loglikelihood([""]) == [0.0]


def test_choices_of_one_token_are_one_row(both: tuple[HfEngine, Any]) -> None:
    engine, _ = both
    engine.batch_size = None
    rows: list[int] = []
    hook = engine.model.register_forward_pre_hook(
        lambda _module, _args, given: rows.append(len(given["input_ids"])), with_kwargs=True
    )
    found = engine.loglikelihood([("A or B?", letter) for letter in "ABCD"])
    hook.remove()
    assert rows == [1]
    assert len({one.logprob for one in found}) == 4


def test_what_cannot_be_scored_is_said(both: tuple[HfEngine, Any]) -> None:
    engine, _ = both
    with pytest.raises(LrmctlError, match="longer than the model's context"):
        engine.loglikelihood([("q", " 7 8" * 600)])
    assert engine.loglikelihood([("q", "")])[0] == (0.0, True)
