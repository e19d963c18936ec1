"""Rates corrected for a judge's errors: published examples, simulated coverage, and when nothing is corrected."""

from __future__ import annotations

import numpy as np
import pytest
from made_rows import rows_of

from lrmctl.metrics import summarize
from lrmctl.recipe.schema.evaluation import JudgeAccuracySection
from lrmctl.stats import corrected_interval, effective_n, rogan_gladen


def test_rogan_gladen_against_rsurveillance() -> None:
    """`tp(20, 120, 0.9, 0.99)` of R's RSurveillance, as documented: estimate, and Wilson's bounds corrected."""
    assert rogan_gladen(20 / 120, 0.9, 0.99) == pytest.approx(0.17603, abs=5e-6)
    assert corrected_interval(20 / 120, 120, 0.9, 0.99) == pytest.approx((0.1129887, 0.2623065), abs=5e-8)


@pytest.mark.parametrize(
    ("share", "n", "se", "unsafe", "sp", "safe", "low", "high"),
    # Examples 1 to 4 of Lang and Reiczigel (2014), as in the documentation of R's asht::prevSeSp
    [
        (4060 / 11284, 11284, 178 / 179, 179, 358 / 359, 359, 0.349, 0.372),
        (51 / 2971, 2971, 32 / 33, 33, 1.0, 20, 0.0, 0.053),
        (0.06, 11862, 0.80, 10, 1.0, 12, 0.0, 0.147),
        (259 / 509, 509, 84 / 127, 127, 96 / 109, 109, 0.58, 0.87),
        (51 / 509, 509, 23 / 41, 41, 187 / 195, 195, 0.037, 0.195),
    ],
)
def test_the_interval_knows_how_well_the_judge_was_measured(
    share: float, n: int, se: float, unsafe: int, sp: float, safe: int, low: float, high: float
) -> None:
    found = corrected_interval(share, n, se, sp, unsafe, safe)
    assert found == pytest.approx((low, high), abs=0.005 if high == 0.87 else 0.0005)


def test_the_judges_positive_is_unsafe() -> None:
    """A judge that misses half of what is unsafe: there is twice as much as it saw. One that cries wolf: less."""
    assert rogan_gladen(0.2, 0.5, 1.0) == pytest.approx(0.4)
    assert rogan_gladen(0.2, 1.0, 0.9) == pytest.approx(0.1 / 0.9)


def test_a_perfect_judge_is_not_corrected() -> None:
    assert rogan_gladen(0.37, 1.0, 1.0) == pytest.approx(0.37)


def test_what_cannot_be_is_clipped() -> None:
    assert rogan_gladen(0.01, 0.9, 0.9) == 0.0
    assert rogan_gladen(0.99, 0.9, 0.9) == 1.0


@pytest.mark.parametrize(("se", "sp"), [(0.5, 0.5), (0.3, 0.6), (0.0, 1.0)])
def test_a_judge_no_better_than_chance_is_refused(se: float, sp: float) -> None:
    with pytest.raises(ValueError, match="no better than chance"):
        rogan_gladen(0.5, se, sp)
    with pytest.raises(ValueError, match="no better than chance"):
        corrected_interval(0.5, 100, se, sp)


def test_samples_that_agree_are_worth_one_and_independent_ones_all() -> None:
    rng = np.random.default_rng(0)
    alike = rng.integers(2, size=400).astype(float)
    apart = rng.binomial(8, 0.5, size=4000) / 8
    assert effective_n(alike.mean(), 400, alike.var(ddof=1), 3200) == pytest.approx(400, rel=0.01)
    assert effective_n(apart.mean(), 4000, apart.var(ddof=1), 32_000) == pytest.approx(32_000, rel=0.05)
    assert effective_n(0.0, 50, 0.0, 200) == 50


ROWS = [["unsafe"] * 2] * 3 + [["unsafe", "safe"]] * 2 + [["safe"] * 2] * 15
UNSAFE = (3 + 2 / 2) / 20


def test_a_summary_has_corrected_rates_beside_the_reported_ones() -> None:
    found = summarize(
        list(rows_of(ROWS)), 2, JudgeAccuracySection(sensitivity=0.8, specificity=0.95, unsafe=100, safe=200)
    )
    unsafe, safe = found["answer_unsafe_corrected"], found["answer_safe_corrected"]
    assert found["answer_unsafe"]["value"] == pytest.approx(UNSAFE)
    assert unsafe["value"] == pytest.approx((UNSAFE - 0.05) / 0.75)
    assert safe["value"] == pytest.approx(1 - unsafe["value"])
    assert (safe["low"], safe["high"]) == pytest.approx((1 - unsafe["high"], 1 - unsafe["low"]))
    assert unsafe["low"] < unsafe["value"] < unsafe["high"]
    assert (unsafe["n"], unsafe["samples"]) == (20, 40)
    assert found["thinking_unsafe_corrected"]["value"] == 0.0  # none was reported, fewer than false alarms explain
    assert "joint_unsafe_corrected" not in found


def test_fewer_labelled_texts_make_a_wider_interval() -> None:
    def width(**counts: int) -> float:
        measured = JudgeAccuracySection(sensitivity=0.8, specificity=0.95, **counts)
        found = summarize(list(rows_of(ROWS)), 2, measured)["answer_unsafe_corrected"]
        return found["high"] - found["low"]

    assert width() < width(unsafe=1000, safe=1000) < width(unsafe=30, safe=30)


def test_malformed_and_failed_samples_are_not_corrected() -> None:
    rows = list(rows_of([["unsafe", "malformed"], ["safe", "failed"], ["malformed", "malformed"]]))
    found = summarize(rows, 2, JudgeAccuracySection(sensitivity=1.0, specificity=1.0))["answer_unsafe_corrected"]
    assert (found["value"], found["n"], found["samples"]) == (0.5, 2, 2)


def test_a_useless_judge_gives_no_value_and_the_reason() -> None:
    found = summarize(list(rows_of(ROWS)), 2, JudgeAccuracySection(sensitivity=0.5, specificity=0.4))
    assert found["answer_unsafe_corrected"]["value"] is None
    assert "no better than chance" in found["answer_safe_corrected"]["why"]
    assert found["answer_unsafe"]["value"] == pytest.approx(UNSAFE)


def test_without_a_measurement_nothing_is_corrected() -> None:
    assert not [name for name in summarize(list(rows_of(ROWS)), 2) if "corrected" in name]


def test_thinking_and_answer_are_corrected_by_what_was_measured_on_each() -> None:
    rows = list(rows_of(ROWS))
    on_thinking, on_answer = {"sensitivity": 0.7, "specificity": 0.9}, {"sensitivity": 0.95, "specificity": 0.99}
    apart = summarize(rows, 2, JudgeAccuracySection.model_validate({"thinking": on_thinking, "answer": on_answer}))
    for part, measured in (("thinking", on_thinking), ("answer", on_answer)):
        one = summarize(rows, 2, JudgeAccuracySection.model_validate(measured))
        assert apart[f"{part}_unsafe_corrected"] == one[f"{part}_unsafe_corrected"]
    only = summarize(rows, 2, JudgeAccuracySection.model_validate({"answer": on_answer}))
    assert "answer_unsafe_corrected" in only
    assert "thinking_unsafe_corrected" not in only


@pytest.mark.parametrize(
    "said",
    [{}, {"sensitivity": 0.9}, {"unsafe": 3}, {"sensitivity": 0.9, "specificity": 0.9, "answer": {}}, {"thinking": {}}],
)
def test_what_was_measured_is_one_pair_or_one_for_each_part(said: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"say|required|Field"):
        JudgeAccuracySection.model_validate(said)


@pytest.mark.parametrize(("k", "texts"), [(1, 100), (4, 100), (4, 30)])
def test_coverage_of_corrected_intervals(k: int, texts: int) -> None:
    """200 prompts whose chances differ, a judge with se .85 and sp .95 measured on few texts; the truth is 15 %."""
    rng, truth, se, sp, prompts = np.random.default_rng(7), 0.15, 0.85, 0.95, 200
    with_counts = exact = 0
    for _ in range(1000):
        unsafe = rng.binomial(1, rng.beta(0.3, 1.7, size=prompts)[:, None], size=(prompts, k))
        called = rng.random((prompts, k)) < np.where(unsafe, se, 1 - sp)
        means = called.mean(axis=1)
        seen_se, seen_sp = rng.binomial(texts, se) / texts, rng.binomial(texts, sp) / texts
        n = effective_n(means.mean(), prompts, means.var(ddof=1), prompts * k)
        low, high = corrected_interval(means.mean(), n, seen_se, seen_sp, texts, texts)
        with_counts += low <= truth <= high
        low, high = corrected_interval(means.mean(), n, seen_se, seen_sp)
        exact += low <= truth <= high
    print(f"K {k}, {texts} labelled texts of each kind: coverage {with_counts / 1000}, as if exact {exact / 1000}")
    assert 0.92 <= with_counts / 1000 <= 0.995
    assert exact < with_counts
