"""Agreement with people: figures worked out by hand or published, and rows without an answer kept apart."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrmctl.errors import LrmctlError, NotFoundError, RecipeError
from lrmctl.judges.offline.agreement import AgreementRate, Confusion, agreement, confusion, proportion
from lrmctl.judges.offline.inputs import read_items
from lrmctl.judges.offline.labels import read_labelled
from lrmctl.judges.offline.measure import answer_of, measure
from lrmctl.judges.offline.render import markdown, measure_table
from lrmctl.judges.offline.score import score_items, summary_of
from lrmctl.judges.spec import JudgeSpec, named_judges
from lrmctl.stats import mcnemar_p
from lrmctl.types import Verdict

real = pytest.mark.skipif(not os.environ.get("LRMCTL_DATA_DIR"), reason="LRMCTL_DATA_DIR is not set")


def near(estimate: AgreementRate, value: float, low: float, high: float, within: float = 5e-4) -> bool:
    return np.allclose(estimate[:3], (value, low, high), atol=within)


def test_counts() -> None:
    answers = [True, True, False, False, True]
    assert confusion(answers, [True, False, True, False, True]) == Confusion(tp=2, fp=1, fn=1, tn=1)


def test_rates_of_a_table_worked_out_by_hand() -> None:
    rates = agreement(Confusion(tp=20, fp=5, fn=10, tn=15))
    values = {name: estimate.value for name, estimate in rates.items()}
    assert values == pytest.approx(
        {
            "accuracy": 35 / 50,
            "precision": 20 / 25,
            "recall": 20 / 30,
            "sensitivity": 20 / 30,
            "specificity": 15 / 20,
            "false_positive_rate": 5 / 20,
            "f1": 8 / 11,
            "kappa": 0.4,
        }
    )
    assert [rates[r].n for r in ("accuracy", "precision", "recall", "specificity")] == [50, 25, 30, 20]


def test_wilson_interval_as_published() -> None:
    """Newcombe 1998, table I: 81 of 263, and 15 of 148 (method 3)."""
    assert near(proportion(81, 263), 0.3080, 0.2553, 0.3662)
    assert near(proportion(15, 148), 0.1014, 0.0624, 0.1605)


def test_kappa_by_its_formula() -> None:
    """Grants read by two people (20, 5, 10, 15): agreement 0.7, by chance 0.5, kappa 0.4."""
    assert agreement(Confusion(20, 5, 10, 15))["kappa"].value == pytest.approx(0.4)
    # the same agreement of 0.6 with two kinds of margins
    assert agreement(Confusion(45, 15, 25, 15))["kappa"].value == pytest.approx(0.1304, abs=1e-4)
    assert agreement(Confusion(25, 35, 5, 35))["kappa"].value == pytest.approx(0.2593, abs=1e-4)


def test_kappas_interval_is_that_of_fleiss_cohen_and_everitt() -> None:
    c = Confusion(45, 15, 25, 15)
    p = np.array([[c.tp, c.fp], [c.fn, c.tn]]) / c.n
    row, column = p.sum(1), p.sum(0)
    agreed, chance = np.trace(p), row @ column
    kappa = (agreed - chance) / (1 - chance)
    a = sum(p[i, i] * (1 - (row[i] + column[i]) * (1 - kappa)) ** 2 for i in (0, 1))
    b = (1 - kappa) ** 2 * sum(p[i, j] * (column[i] + row[j]) ** 2 for i in (0, 1) for j in (0, 1) if i != j)
    variance = (a + b - (kappa - chance * (1 - kappa)) ** 2) / ((1 - chance) ** 2 * c.n)
    half = 1.959964 * math.sqrt(variance)
    assert near(agreement(c)["kappa"], kappa, kappa - half, kappa + half, 1e-5)


def test_f1s_interval_is_a_bootstrap_over_rows() -> None:
    c = Confusion(26, 42, 20, 256)
    rng = np.random.default_rng(1)
    pairs = np.repeat([0, 1, 2, 3], (c.tp, c.fp, c.fn, c.tn))
    drawn = rng.choice(pairs, size=(4_000, c.n))
    tp, fp, fn = ((drawn == i).sum(1) for i in (0, 1, 2))
    low, high = np.percentile(2 * tp / (2 * tp + fp + fn), (2.5, 97.5))
    assert near(agreement(c)["f1"], 52 / 114, low, high, 0.015)
    assert agreement(c) == agreement(c)


def test_what_cannot_be_had_is_none_and_not_zero() -> None:
    nothing = agreement(Confusion())
    assert all(estimate == (None, None, None, 0) for estimate in nothing.values())
    no_positives = agreement(Confusion(tn=5))
    assert no_positives["recall"].value is no_positives["f1"].value is no_positives["kappa"].value is None
    perfect = agreement(Confusion(tp=5, tn=5))
    assert perfect["kappa"][:3] == perfect["f1"][:3] == (1.0, None, None)
    assert perfect["accuracy"].low < 0.75


@settings(max_examples=40, deadline=None)
@given(*[st.integers(0, 30)] * 4)
def test_every_interval_holds_its_value(tp: int, fp: int, fn: int, tn: int) -> None:
    for name, estimate in agreement(Confusion(tp, fp, fn, tn)).items():
        if estimate.low is not None and estimate.high is not None:
            assert -1 <= estimate.low <= estimate.value + 1e-9, name
            assert estimate.value - 1e-9 <= estimate.high <= 1, name


def test_mcnemar_is_the_binomial_test_of_the_rows_where_one_is_right() -> None:
    first = [True] * 9 + [False] * 2 + [True] * 20
    second = [False] * 9 + [True] * 2 + [True] * 20
    assert mcnemar_p(first, second) == pytest.approx(2 * sum(math.comb(11, k) for k in (0, 1, 2)) / 2**11)
    assert mcnemar_p([True, False], [True, False]) == 1.0


@pytest.mark.parametrize(
    ("verdict", "refused", "unsafe"),
    [
        ({"safe": True, "refused": True, "malformed": False}, True, False),
        ({"safe": False, "refused": False, "malformed": True}, False, True),
        ({"safe": True, "malformed": True}, None, None),
        ({"malformed": True}, None, None),
        ({"refused": False}, False, None),
        ({"error": "down"}, None, None),
    ],
)
def test_only_what_a_judge_says_is_an_answer(verdict: dict, refused: bool | None, unsafe: bool | None) -> None:
    given_verdict = Verdict("j", "1", "answer", **verdict)
    assert (answer_of(given_verdict, "refused"), answer_of(given_verdict, "unsafe")) == (refused, unsafe)


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    rows = [
        {"prompt": "a", "response": "I cannot help.", "human": {"refused": True}},
        {"prompt": "b", "response": "I cannot give more than 4.", "human": {"refused": "no"}},
        {"prompt": "c", "response": "Never.", "human": {"refused": 1}},
        {"prompt": "d", "response": "It is 4.", "human": {"refused": False}},
        {"prompt": "e", "response": "", "human": {"refused": True}},
        {"prompt": "f", "response": "It is 5.", "finish_reason": "error", "human": {"refused": False}},
        {"prompt": "g", "response": "It is 6."},
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_failed_and_silent_rows_are_no_agreement(labelled: Path) -> None:
    found = measure([JudgeSpec("refusal-phrases")], read_labelled(str(labelled), "refused", "human.refused"))
    (one,) = found.judges
    assert one.counts == Confusion(tp=1, fp=1, fn=1, tn=1)
    assert (one.failed, one.malformed, one.silent) == (1, 1, 0)
    assert (found.n, found.positives, found.unlabelled) == (6, 3, 1)
    assert one.rates["accuracy"].n == 4
    assert one.answers == (True, True, False, False, None, None)
    assert one.failures == ({"error": "the engine failed on this sample", "count": 1},)


def test_rows_of_one_prompt_count_as_one_in_the_interval(tmp_path: Path) -> None:
    said = ["I cannot." if i < 20 else "Yes." for i in range(40)]
    rows = [{"id": "same", "prompt": f"q{i // 4}", "response": text} for i, text in enumerate(said)]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    items, judge = read_items(file), JudgeSpec("refusal-phrases")
    found = summary_of(judge, items, score_items(judge, items, "answer"), "answer")
    share = found["shares"]["refused"]
    assert (found["n"], found["prompts"], share.value, share.n) == (40, 10, 0.5, 40)
    pooled = proportion(20, 40)
    assert share.high - share.low > 1.5 * (pooled.high - pooled.low)


def test_two_judges_side_by_side_on_the_rows_that_both_answer(labelled: Path) -> None:
    judges = named_judges(["refusal-phrases", "refusal-phrases: {phrases: [never, i cannot help]}"])
    found = measure(judges, read_labelled(str(labelled), "refused", "human.refused"))
    (pair,) = found.pairs
    assert (pair.n, pair.only_first, pair.only_second, pair.p) == (4, 0, 2, 0.5)
    heads, rows = measure_table(found)
    assert [row[0] for row in rows] == ["refusal-phrases", "refusal-phrases (phrases=never+i cannot help)"]
    assert all(len(row) == len(heads) for row in rows)
    assert "6 rows, 3 positive" in markdown(found)


def test_a_judge_that_fails_everywhere_agrees_with_nobody(labelled: Path) -> None:
    found = measure([JudgeSpec("lab")], read_labelled(str(labelled), "refused", "human.refused"))
    (one,) = found.judges
    assert (one.counts, one.failed, one.rates["accuracy"].value) == (Confusion(), 6, None)


def test_words_that_mean_yes_can_be_named(tmp_path: Path) -> None:
    file = tmp_path / "xstest.jsonl"
    words = ["1_full_compliance", "2_full_refusal", "3_partial_refusal"]
    file.write_text("".join(json.dumps({"prompt": "a", "response": "b", "label": word}) + "\n" for word in words))
    found = read_labelled(str(file), "refused", "label", ["2_full_refusal", "3_partial_refusal"])
    assert found.labels == (False, True, True)
    with pytest.raises(
        LrmctlError, match=r"xstest.jsonl:1: the label '1_full_compliance'.*neither yes nor no"
    ) as caught:
        read_labelled(str(file), "refused", "label")
    assert "--positive" in caught.value.fix
    with pytest.raises(LrmctlError, match="no row has a label in 'human'"):
        read_labelled(str(file), "refused", "human")


def test_a_known_set_that_is_not_here_says_where_to_put_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LRMCTL_DATA_DIR", raising=False)
    with pytest.raises(NotFoundError, match="'rbr-gold' is not here") as caught:
        read_labelled("rbr-gold", "refused", "rbr-gold")
    assert "$LRMCTL_DATA_DIR/rbr_gold/train.jsonl" in caught.value.fix


def test_a_row_of_another_set_is_named(labelled: Path) -> None:
    with pytest.raises(LrmctlError, match=r"rows.jsonl:1: is no row of this label set: it lacks 'propositions'"):
        read_labelled(str(labelled), "refused", "rbr-gold")


def test_judges_are_named_with_their_options() -> None:
    assert named_judges(["lab"]) == [JudgeSpec("lab")]
    assert named_judges(["a: {x: 1}", "a"])[0].title == "a (x=1)"
    assert named_judges(["a"], ["x=1e-3", "y=[b, c]", "z=no"], '{"w": {"use": "hf"}}')[0].options == {
        "w": {"use": "hf"},
        "x": 0.001,
        "y": ["b", "c"],
        "z": "no",
    }


@pytest.mark.parametrize(
    ("specs", "options", "text", "what"),
    [
        (["a", "b"], ["x=1"], None, "options beside several judges"),
        (["a", "a"], [], None, "named twice"),
        (["a: {x"], [], None, "--judge a: {x: expected"),
        (["[a]"], [], None, "is no judge"),
        (["a: 3"], [], None, "is no judge"),
        (["a"], ["x"], None, "is no option"),
        (["a"], ["x=[1"], None, r"--option x=\[1: expected"),
        (["a"], [], "{", "is not JSON"),
        (["a"], [], "[]", "is a list"),
    ],
)
def test_judges_that_cannot_be_read(specs: list[str], options: list[str], text: str | None, what: str) -> None:
    with pytest.raises(RecipeError, match=what):
        named_judges(specs, options, text)


@real
def test_string_judges_on_the_gold_labels() -> None:
    """The figures of docs/judges.md; completions that are empty (7) have no answer."""
    judges = named_judges(["refusal-phrases", "refusal-phrases: {lists: jailbreakbench}", "stand-in"])
    found = measure(judges, read_labelled("rbr-gold", "refused", "rbr-gold"))
    assert (found.n, found.positives) == (351, 46)
    own, jailbreakbench, drawn = found.judges
    assert own.counts == Confusion(tp=29, fp=27, fn=17, tn=271)
    assert jailbreakbench.counts == Confusion(tp=26, fp=42, fn=20, tn=254)  # two are Russian and Chinese
    assert round(jailbreakbench.rates["recall"].value, 2) == 0.57
    assert round(jailbreakbench.rates["false_positive_rate"].value, 2) == 0.14
    assert round(jailbreakbench.rates["precision"].value, 2) == 0.38
    assert drawn.rates["kappa"].low < 0 < drawn.rates["kappa"].high
    assert {j.malformed for j in found.judges} == {7}
    assert [j.failed for j in found.judges] == [0, 2, 0]


@real
def test_the_gold_labels_of_disallowed_content() -> None:
    found = read_labelled("rbr-gold", "unsafe", "rbr-gold")
    assert (len(found.labels), sum(found.labels)) == (351, 17)
    assert {item.trace.prompt.kind for item in found.items} == {"harmful", "benign"}
    assert all(item.trace.prompt.messages[-1]["role"] == "user" for item in found.items)
