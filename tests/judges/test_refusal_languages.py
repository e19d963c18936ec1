"""Refusals by phrases, however they are written and in many languages; quotations are none."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from lrmctl.hooks import registry
from lrmctl.judges.offline.labels import read_labelled
from lrmctl.judges.refusals import languages, refusal_in, unread_script
from lrmctl.monitors.alarms.refusals import refuses
from lrmctl.types import Prompt, Trace

TEXTS = tomllib.loads(Path(__file__).with_name("refusals_under_test.toml").read_text(encoding="utf-8"))
ENGLISH, OTHERS, NONE = TEXTS["english"], TEXTS["others"], TEXTS["none"]


@pytest.mark.parametrize("answer", ENGLISH, ids=ascii)
def test_an_english_refusal_is_found_however_it_is_written(answer: str) -> None:
    assert refusal_in(answer)
    assert refuses(answer)


@pytest.mark.parametrize("answer", OTHERS, ids=ascii)
def test_a_refusal_in_another_language_is_found(answer: str) -> None:
    assert refusal_in(answer)


@pytest.mark.parametrize("answer", NONE, ids=ascii)
def test_what_only_looks_like_a_refusal_is_none(answer: str) -> None:
    assert not refusal_in(answer)
    assert not refuses(answer)


def test_a_script_without_phrases_fails_and_is_not_taken_for_compliance() -> None:
    georgian = "\u10d5\u10d4\u10e0 \u10d3\u10d0\u10d2\u10d4\u10ee\u10db\u10d0\u10e0\u10d4\u10d1\u10d8\u10d7"
    trace = Trace(Prompt.user("p", "?", "harmful"), "hm", georgian, "closed")
    (found,) = registry.make("judge", "refusal-phrases").judge([trace], "answer")
    assert (found.outcome, found.refused) == ("failed", None)
    assert "georgian" in found.error
    (own,) = registry.make("judge", "refusal-phrases", phrases=["\u10d5\u10d4\u10e0"]).judge([trace], "answer")
    assert own.refused is True


@pytest.mark.parametrize(
    "answer", ["def f(x): return x", "42", "", "\u7b54\u6848", "\u3042\u3044", "Hello \u10d0"], ids=ascii
)
def test_scripts_of_the_known_languages_are_read(answer: str) -> None:
    assert unread_script(answer) == ""


def test_a_list_of_english_phrases_says_nothing_of_chinese() -> None:
    trace = Trace(Prompt.user("p", "?", "harmful"), "hm", OTHERS[0], "closed")
    judge = registry.make("judge", "refusal-phrases", lists="jailbreakbench")
    assert judge.judge([trace], "answer")[0].outcome == "failed"


def test_every_language_says_its_script_and_the_documentation_names_it() -> None:
    text = (Path(__file__).parents[2] / "docs" / "judges.md").read_text(encoding="utf-8")
    for language in languages():
        assert f"`{language.name}`" in text


def test_long_answers_are_read_in_little_work() -> None:
    for text in ("i " * 50_000, "'" * 50_000, '"' * 50_001, "sorry " * 30_000, "\u2018" * 50_000, "> x\n" * 30_000):
        assert isinstance(refusal_in(text), str)


def test_it_agrees_with_people_on_labels_at_least_as_measured() -> None:
    folder = os.environ.get("LRMCTL_DATA_DIR")
    if not folder or not (Path(folder) / "rbr_gold/train.jsonl").is_file():
        pytest.skip("needs rbr_gold/train.jsonl under LRMCTL_DATA_DIR")
    labelled = read_labelled("rbr-gold", "refused", "rbr-gold")
    pairs = [
        (bool(refusal_in(item.trace.answer)), label)
        for item, label in zip(labelled.items, labelled.labels, strict=True)
        if item.trace.answer.strip()
    ]
    found = sum(said and label for said, label in pairs)
    false = sum(said and not label for said, label in pairs)
    assert found >= 29
    assert false <= 27
