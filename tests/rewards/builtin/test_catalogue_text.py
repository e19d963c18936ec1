"""Rewards that need no model, with values worked out by hand from their formulas."""

from __future__ import annotations

import pytest

from lrmctl._util.words import scripts_of_prompt, words_of
from lrmctl.errors import RecipeError
from lrmctl.hooks import registry
from lrmctl.rewards.builtin.multiple_choice import chosen_letter
from lrmctl.types import Prompt, Trace


def trace(thinking="a b c", answer="d e", prompt="A question?", kind="benign", reference=None, **changes):
    asked = Prompt.user("p", prompt, kind, reference=reference)
    return Trace(asked, thinking, answer, **{"thinking_state": "closed", **changes})


def value(name, trace, part="whole", **options):
    (score,) = registry.make("reward", name, **options).score([trace], part)
    assert not score.failed, score.error
    return score.value


ABSENT = {"thinking": "", "thinking_state": "absent"}
EMPTY_TAGS = {"thinking": "", "irregular": ("empty",)}


@pytest.mark.parametrize(
    ("changes", "required", "optional", "absent"),
    [
        ({}, 1, 1, 0),
        (ABSENT, 0, 1, 1),
        (EMPTY_TAGS, 0, 1, 1),
        ({"thinking_state": "unclosed", "answer": ""}, 0, 0, 0),
        ({"irregular": ("repeated",)}, 0, 0, 0),
        ({"finish_reason": "length"}, 0, 0, 0),
        ({**ABSENT, "answer": ""}, 0, 0, 0),
    ],
)
def test_format_is_what_the_template_wants(changes, required, optional, absent):
    values = [
        value("format", trace(**changes), thinking=t, bonus=1, penalty=0) for t in ("required", "optional", "absent")
    ]
    assert values == [required, optional, absent]


def test_format_of_a_part_and_its_values():
    cut = trace(finish_reason="length")
    assert value("format", cut, "thinking", bonus=0.5) == 0.5
    assert value("format", cut, "answer", penalty=-2.0) == -2.0
    assert registry.make("reward", "format", bonus=0.5, penalty=-2.0).range == (-2.0, 0.5)
    with pytest.raises(RecipeError, match="did you mean 'optional'"):
        registry.make("reward", "format", thinking="optinal")
    with pytest.raises(RecipeError, match="not a number"):
        registry.make("reward", "format", bonus=float("nan"))


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        (r"So it is \boxed{C}.", "C"),
        (r"\boxed{\text{(C)}}", "C"),
        (r"\boxed{C) 12 m}", "C"),
        (r"I first thought \boxed{C}, and it is \boxed{C}", "C"),
        ("The answer is (C).", "C"),
        ("**Final answer: C**", "C"),
        ("The correct option is C because A is wrong.", "C"),
        ("Option B is wrong, so the answer is C", "C"),
        ("The answer is A because of friction.", "A"),
        ("(c)", "C"),
        ("\u7b54\u6848 The answer is: C", "C"),
    ],
)
def test_a_stated_letter_is_read(answer, letter):
    assert chosen_letter(answer) == letter


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "A cat sat there. I saw it.",
        r"\boxed{A} or \boxed{B}",
        r"\boxed{AB}",
        r"\boxed{12}",
        r"\boxed{C",
        "The answer is A or B.",
        "The answer is either A or B.",
        "The answer is B. The final answer: C",
        "The answer is not C.",
        "The answer is a matter of taste.",
        "Answer: I do not know",
        "Options A and C remain.",
        "The answer is Z.",
        "C is the answer? Who knows. D is tempting.",
    ],
)
def test_no_letter_is_taken_by_luck(answer):
    assert chosen_letter(answer) is None


def test_multiple_choice_is_exact_and_reads_the_answer_only():
    asked = {"kind": "reasoning", "reference": "C"}
    assert value("multiple-choice", trace(answer="The answer is C", **asked)) == 1.0
    assert value("multiple-choice", trace(answer="The answer is D", **asked)) == 0.0
    assert value("multiple-choice", trace(thinking="The answer is C", answer="Hm.", **asked)) == 0.0
    assert value("multiple-choice", trace(answer="The answer is C", finish_reason="length", **asked)) == 0.0
    assert value("multiple-choice", trace(answer="C", kind="reasoning", reference="(C)")) == 1.0
    assert value("multiple-choice", trace()) is None
    reward = registry.make("reward", "multiple-choice", letters="ABCD")
    for odd in (None, "42", "E"):
        assert reward.score([trace(kind="reasoning", reference=odd)], "answer")[0].failed


@pytest.mark.parametrize(
    ("words", "expected"), [(1, 0.1), (5, 0.5), (10, 1.0), (20, 1.0), (25, 0.5), (28, 0.2), (40, 0)]
)
def test_length_falls_off_on_both_sides_of_the_range(words, expected):
    one = trace(thinking="w " * words, answer="x")
    options = {"low": 10, "high": 20, "falloff": 10, "unit": "words"}
    assert value("length", one, "thinking", **options) == pytest.approx(expected)


def test_length_counts_tokens_where_they_are_known():
    counted = trace(thinking_tokens=30, answer_tokens=10)
    assert value("length", counted, low=40, high=40, falloff=10) == 1.0
    assert value("length", counted, "answer", low=15, high=20, falloff=10) == 0.5
    assert value("length", trace(), low=5, high=5, falloff=5) == 1.0  # five words
    assert value("length", trace(finish_reason="length"), low=0) == 0.0
    assert registry.make("reward", "length", unit="tokens").score([trace()], "whole")[0].failed
    with pytest.raises(RecipeError, match="above"):
        registry.make("reward", "length", low=5, high=4)


@pytest.mark.parametrize(("n", "expected"), [(1, 0), (80, 0), (85, -0.25), (90, -0.5), (100, -1), (101, -1), (500, -1)])
def test_overlong_is_the_formula_of_dapo(n, expected):
    assert value("overlong", trace(thinking_tokens=n, answer_tokens=0), max_length=100, cache=20) == pytest.approx(
        expected
    )


def test_a_cut_response_is_overlong_whatever_was_counted():
    assert value("overlong", trace(finish_reason="length"), max_length=100, cache=20) == -1.0
    with pytest.raises(RecipeError, match="more than"):
        registry.make("reward", "overlong", max_length=10, cache=20)


def test_repetition_is_the_share_of_repeated_ngrams():
    # bigrams: a-b b-c c-a a-b b-c: 5, of which 3 are distinct
    assert value("repetition", trace(thinking="A b, c a b c!", answer=""), "thinking", n=2) == pytest.approx(-0.4)
    assert value("repetition", trace(thinking="a b c a b c", answer=""), "thinking", n=2, penalty=2) == pytest.approx(
        -0.8
    )
    assert value("repetition", trace("one two three", "one two three"), n=2) == 0.0
    assert value("repetition", trace("", "", thinking_state="absent")) == 0.0


def test_a_word_that_stands_in_a_row_too_often_costs_all():
    assert value("repetition", trace("no no no", "x"), n=9) == 0.0
    assert value("repetition", trace("no No, no no", "x"), n=9) == -1.0
    assert value("repetition", trace("no no no no", "x"), n=9, run=0) == 0.0
    assert value("repetition", trace("\u54c8\u54c8\u54c8\u54c8", "x"), n=9) == -1.0


RUSSIAN = "\u043a\u0430\u043a"
CHINESE = "\u600e\u4e48\u6837"


def test_language_is_the_share_of_letters_in_the_prompts_script():
    assert value("language", trace("abc", "abc " + CHINESE)) == pytest.approx(6 / 9)
    assert value("language", trace("abc", CHINESE, prompt=CHINESE), "answer") == 1.0
    assert value("language", trace("abc", CHINESE, prompt=CHINESE), "thinking") == 0.0
    assert value("language", trace("abc", RUSSIAN), "answer", script="cyrillic") == 1.0


def test_code_and_formulas_are_in_no_language():
    answer = CHINESE + r" $x = \frac{a}{b}$ ```print(abc)``` \boxed{4} 42"
    assert value("language", trace("abc", answer, prompt=CHINESE), "answer") == 1.0
    assert value("language", trace("abc", "42", prompt=CHINESE), "answer") == 1.0
    assert value("language", trace("abc", " ", prompt=CHINESE), "answer") == 0.0
    assert value("language", trace("abc", "d", prompt="2 + 2?")) is None


def test_scripts_that_a_language_mixes_belong_together():
    japanese = "\u6f22\u5b57\u3068\u304b\u306a"
    assert scripts_of_prompt(japanese) == {"han", "hiragana", "katakana"}
    assert value("language", trace("abc", japanese, prompt=japanese), "answer") == 1.0
    assert words_of("It's " + CHINESE) == ["it's", *CHINESE]


@pytest.mark.parametrize(
    "text",
    [
        *("\\boxed{" * 8000, "\\[" * 15000, "$$ " * 15000, "```" * 9001, "` " * 15000, "{" * 30000, "(" * 30000),
        *("the answer is " * 3000, "the answer is A or " * 2000, "a b " * 15000, "x" * 60000, "\n \n" * 15000),
        *("I'm sorry " * 5000, "talk with a very " * 3000, "1. " * 20000, "\u4e2d" * 30000, "?" * 30000, "'" * 30000),
        *("i " * 20000, "." * 30000, ". " * 20000, "\n" * 30000 + "x", "?\n" * 15000 + "x"),
    ],
    ids=lambda text: repr(text[:20]),
)
@pytest.mark.timeout(120)  # quadratic work or backtracking takes minutes
def test_no_text_makes_a_reward_slow(text):
    from lrmctl.rewards.builtin.features import FEATURES
    from lrmctl.rewards.builtin.risk_adequacy import count_sentences, first_paragraph

    assert count_sentences(first_paragraph("So" + text + "end")) >= 1
    options = {
        "overlong": {"max_length": 100, "cache": 20},
        "rules": {"rules": [{"feature": f, "weight": 1} for f in FEATURES]},
    }
    for name in ("format", "length", "overlong", "repetition", "language", "multiple-choice", "correct", "rules"):
        reward = registry.make("reward", name, **options.get(name, {}))
        assert not reward.score([trace(text, text + ".", kind="reasoning", reference="A")], "whole")[0].failed
