"""The numbers of a fitted judge: folds that share no prompt, calibration, thresholds, and figures with intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrmctl.errors import LrmctlError
from lrmctl.judges.fitted.classifier import ClassifierSettings, best_threshold, fit_classifier, grouped_folds
from lrmctl.judges.fitted.cross_validation import HeldOut, by_prompt, by_source
from lrmctl.judges.fitted.features import HiddenFeatures, PreparedFeatures, TfidfFeatures, TrainingFeatures
from lrmctl.judges.fitted.scores import scores_of
from lrmctl.judges.fitted.text import TextField
from lrmctl.judges.offline.agreement import agreement, confusion

QUICK = ClassifierSettings(folds=4, strengths=(0.1, 1.0))


def rows(n: int = 240, noise: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Dense features, labels and prompts; two rows a prompt, 30 % yes."""
    draw = np.random.default_rng(seed)
    labels = draw.random(n) < 0.3
    states = draw.normal(size=(n, 6))
    states[:, 0] += 2 * labels / noise
    return states, labels, np.arange(n) // 2


@given(st.integers(0, 1000), st.integers(2, 6))
def test_no_prompt_is_in_two_folds(seed: int, folds: int) -> None:
    draw = np.random.default_rng(seed)
    groups = draw.integers(0, 30, size=120)
    labels = draw.random(120) < 0.4
    seen: list[int] = []
    for train, test in grouped_folds(labels, groups, folds, seed):
        assert not set(groups[train]) & set(groups[test])
        assert sorted([*train, *test]) == list(range(120))
        seen += test.tolist()
    assert sorted(seen) == list(range(120))


def test_one_prompt_of_a_label_is_too_few() -> None:
    labels = np.array([True, True, False, False, False])
    with pytest.raises(LrmctlError, match="two prompts with each"):
        list(grouped_folds(labels, np.array([0, 0, 1, 2, 3]), 2, 0))


class Watched(TrainingFeatures):
    """Features that note which rows they learn from."""

    def __init__(self, states: np.ndarray) -> None:
        self._inner, self.learned = HiddenFeatures(states), list[set[int]]()

    def prepared(self, some: np.ndarray) -> PreparedFeatures:
        self.learned.append(set(some.tolist()))
        return self._inner.prepared(some)


def test_held_out_rows_contribute_to_nothing() -> None:
    states, labels, groups = rows(80)
    watched = Watched(states)
    held_out = by_prompt(watched, labels, groups, np.ones(80), QUICK)
    assert held_out.rows.tolist() == list(range(80))
    for train, test in grouped_folds(labels, groups, QUICK.folds, QUICK.seed):
        inside = [learned for learned in watched.learned if learned <= set(train.tolist())]
        assert len(inside) == QUICK.folds + 1  # the folds inside, and the fit on all of the outer fold
        assert not any(learned & set(test.tolist()) for learned in inside)


def test_a_source_is_judged_without_its_prompts_wherever_they_are() -> None:
    states, labels, groups = rows(120)
    sources = ["a"] * 60 + ["b"] * 60
    groups[60] = groups[0]  # a prompt of both
    watched = Watched(states)
    found = by_source(watched, labels, groups, np.ones(120), sources, QUICK)
    assert isinstance(found["a"], HeldOut)
    assert found["a"].rows.tolist() == list(range(60))
    half = len(watched.learned) // 2
    assert set().union(*watched.learned[:half]) == set(range(61, 120))


def test_a_source_that_the_others_cannot_teach_says_so() -> None:
    states, labels, groups = rows(60)
    labels[30:] = False
    found = by_source(HiddenFeatures(states), labels, groups, np.ones(60), ["a"] * 30 + ["b"] * 30, QUICK)
    assert isinstance(found["a"], str)
    assert isinstance(found["b"], HeldOut)


def test_probabilities_are_calibrated_on_held_out_prompts() -> None:
    states, labels, groups = rows(1200)
    held_out = by_prompt(HiddenFeatures(states), labels, groups, np.ones(1200), QUICK)
    scores = scores_of(held_out.probabilities, held_out.answers, labels, groups)
    assert scores.calibration_error.value is not None
    assert scores.calibration_error.value < 0.05
    assert held_out.probabilities.mean() == pytest.approx(labels.mean(), abs=0.02)


def test_without_a_signal_the_probability_is_the_share() -> None:
    draw = np.random.default_rng(3)
    labels = draw.random(400) < 0.25
    states = draw.normal(size=(400, 3))
    fitted, prepared = fit_classifier(
        HiddenFeatures(states), labels, np.arange(400), np.ones(400), np.arange(400), QUICK
    )
    assert fitted.slope >= 0
    assert np.ptp(fitted.probabilities(prepared.matrix)) < 0.5


def test_rows_that_count_twice_count_as_two() -> None:
    states, labels, groups = rows(100)
    twice = np.concatenate([np.arange(100), np.arange(100)])
    settings = ClassifierSettings(strengths=(1.0,), threshold=0.5)
    one, _ = fit_classifier(HiddenFeatures(states), labels, groups, np.full(100, 2.0), np.arange(100), settings)
    other, _ = fit_classifier(
        HiddenFeatures(states[twice]), labels[twice], groups[twice], np.ones(200), np.arange(200), settings
    )
    assert np.allclose(one.weights, other.weights, atol=1e-3)


def test_thresholds_worked_out_by_hand() -> None:
    p = np.array([0.9, 0.8, 0.6, 0.4, 0.2, 0.1])
    labels = np.array([True, True, False, True, False, False])
    ones = np.ones(6)
    assert best_threshold(p, labels, ones, "kappa") == pytest.approx(0.7)
    assert best_threshold(p, labels, np.array([1, 1, 1, 9, 1, 1.0]), "balanced") == pytest.approx(0.3)
    assert best_threshold(p, labels, ones, 0.5) == 0.5
    assert best_threshold(np.full(6, 0.3), labels, ones, "kappa") == 0.5


def test_figures_agree_with_those_of_judge_measure() -> None:
    draw = np.random.default_rng(1)
    p, labels = draw.random(200), draw.random(200) < 0.4
    scores = scores_of(p, p > 0.5, labels, np.arange(200))
    rates = agreement(confusion((p > 0.5).tolist(), labels.tolist()))
    for name in ("kappa", "sensitivity", "specificity"):
        figure = getattr(scores, name)
        assert figure.value == pytest.approx(rates[name].value)
        assert figure.low == pytest.approx(rates[name].low, abs=0.03)
        assert figure.high == pytest.approx(rates[name].high, abs=0.03)
    assert scores.brier.value == pytest.approx(((p - labels) ** 2).mean())
    assert (scores.tp + scores.fn, scores.tn + scores.fp) == (labels.sum(), (~labels).sum())


def test_rows_of_one_prompt_make_the_interval_wider() -> None:
    draw = np.random.default_rng(2)
    labels, right = draw.random(100) < 0.5, draw.random(100) < 0.8
    p = np.where(labels == right, 0.9, 0.1)
    many = np.repeat(np.arange(100), 5)
    alone = scores_of(p[many], p[many] > 0.5, labels[many], np.arange(500)).kappa
    grouped = scores_of(p[many], p[many] > 0.5, labels[many], many).kappa
    assert alone.value == grouped.value
    assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)


def test_one_label_only_has_no_kappa() -> None:
    scores = scores_of(np.array([0.1, 0.2]), np.array([False, False]), np.array([False, False]), np.arange(2))
    assert scores.kappa.value is scores.sensitivity.value is None
    assert (scores.specificity.value, scores.specificity.low) == (1.0, None)


def test_tfidf_is_scikit_learns_on_the_rows_it_learns_from() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    field = TextField("w", "response", "word", 1, 2)
    texts = [("", f"alpha beta {word} gamma {word}") for word in ("x1", "x2", "x1", "x2", "x3", "x1")]
    learned = np.array([0, 1, 2, 3])
    prepared = TfidfFeatures([field], texts).prepared(learned)
    reference = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, token_pattern=r"\w+")
    reference.fit([texts[i][1] for i in learned])
    assert prepared.terms["w"] == reference.get_feature_names_out().tolist()
    assert np.allclose(prepared.matrix.toarray(), reference.transform([text for _, text in texts]).toarray())


@pytest.mark.parametrize("texts", [["a1", "b2", "c3"], ["!", "?", "..."]])
def test_rows_without_a_common_word_are_an_error(texts: list[str]) -> None:
    with pytest.raises(LrmctlError, match="nothing to learn from"):
        TfidfFeatures([TextField("w", "response", "word", 1, 1)], [("", t) for t in texts]).prepared(np.arange(3))
