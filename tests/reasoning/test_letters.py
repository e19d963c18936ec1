"""Letters of multiple choice: one table for the graders of evaluation and for the reward."""

from __future__ import annotations

import pytest

from lrmctl.reasoning.choices import chosen, grade_choice
from lrmctl.rewards.builtin.multiple_choice import MultipleChoice, chosen_letter
from lrmctl.types import Prompt, Trace

CHOICES = ("red", "green", "blue", "grey")

SETTLED = (
    r"\boxed{C}",
    r"\boxed{c}",
    r"\boxed{(C)}",
    r"\boxed{(c)}",
    r"\boxed{[C]}",
    r"\boxed{C.}",
    r"\boxed{{C}}",
    r"\boxed{ C }",
    r"\boxed{$C$}",
    r"\boxed{\text{C}}",
    r"\boxed{\textbf{C}}",
    r"\boxed{\textbf{(C)}}",
    r"\boxed{\mathbf{\text{C}}}",
    r"\boxed{\bf C}",
    r"\boxed{\text{C}.}",
    r"\boxed{**C**}",
    "\\boxed{\uff23}",
    r"\boxed{Option C}",
    r"\boxed{option c}",
    r"\boxed{\text{Option C}}",
    r"\boxed{\text{Answer: C}}",
    r"\boxed{\text{Answer C}}",
    r"\boxed{The correct answer is C}",
    r"\boxed{Choice (C)}",
    r"\boxed{C. blue}",
    r"\boxed{C: blue}",
    r"\boxed{C) blue}",
    r"\boxed{(C) blue}",
    r"\boxed{C, blue}",
    r"\boxed{C - blue}",
    r"\boxed{C (blue)}",
    r"\boxed{\text{C. } \text{blue}}",
    r"\boxed{\textbf{(C)}\ blue}",
    r"first \boxed{A}, no: \boxed{C}",
    r"\boxed{C} and again \boxed{C}",
    r"\boxed{C}, \boxed{C}",
    r"Answer: A. No, \boxed{C}",
    "ANSWER: C",
    "Answer: c",
    "answer: C",
    "Answer: (C)",
    "Answer: C.",
    "Answer: C. blue",
    "**Answer:** C",
    "Answer: **C**",
    "**Answer: C**",
    "Answer\uff1aC",
    "Final answer: C",
    "The answer is C",
    "The answer is (C).",
    "the answer is: C",
    "The answer would be C.",
    "The correct option is C.",
    "The correct choice is (C)",
    "The best answer is option C.",
    "Option C is correct.",
    "The answer is $C$.",
    r"The answer is \(C\).",
    r"The answer is $\text{C}$.",
    "Answer: A\nWait.\nAnswer: C",
    "\u7b54\u6848\u662fC",
    "\u7b54\u6848\uff1aC\u3002",
    "\u6b63\u89e3\u306fC\u3067\u3059",
    "Respuesta: C",
    "C",
    "c",
    "C.",
    "(C)",
    "**C**",
    " *C* \n",
    "`C`",
)

BY_TEXT = (
    r"\boxed{blue}",
    r"\boxed{Blue}",
    r"\boxed{\text{blue}}",
    r"\boxed{blue.}",
    r"\boxed{C blue}",
    "Answer: blue",
    "The answer is **blue**.",
    "blue",
    "C. blue",
    "C) blue",
)

NONE = (
    "",
    r"\boxed{}",
    r"\boxed{A, C}",
    r"\boxed{A,C}",
    r"\boxed{A and C}",
    r"\boxed{A or C}",
    r"\boxed{A/C}",
    r"\boxed{A & C}",
    r"\boxed{(A), (C)}",
    r"\boxed{(A) (C)}",
    r"\boxed{AC}",
    r"\boxed{A - C}",
    r"\boxed{\text{A or C}}",
    r"\boxed{A} or \boxed{C}",
    r"\boxed{A}, \boxed{C}",
    r"\boxed{E}",
    r"\boxed{e}",
    r"\boxed{Z. blue}",
    r"\boxed{42}",
    r"\boxed{a cat}",
    r"\boxed{C",
    r"\boxed{\text{none}}",
    "Answer: E",
    "The answer is Z.",
    "The answer is A or C.",
    "Answer: A, C",
    "Answer: A and C",
    "The answer is either A or B.",
    "The answer is not C.",
    "The answer is a matter of taste.",
    "The answer is A little more than that.",
    "Answer: I do not know",
    "The answer is B. The final answer: C",
    "A cat sat there. I saw it.",
    "Options A and C remain.",
)


def trace(answer: str, **meta: object) -> Trace:
    prompt = Prompt.user("p", "which?", "reasoning", reference="C", meta=meta)
    return Trace(prompt, "so", answer, "closed")


@pytest.mark.parametrize("answer", SETTLED)
def test_a_letter_is_read_alike_with_and_without_the_choices_texts(answer: str) -> None:
    assert chosen(answer, CHOICES) == "C"
    assert chosen_letter(answer, "ABCD") == "C"
    assert MultipleChoice().score([trace(answer)], "answer")[0].value == 1.0


@pytest.mark.parametrize("answer", BY_TEXT)
def test_a_choices_text_stands_for_its_letter_where_it_is_known(answer: str) -> None:
    assert chosen(answer, CHOICES) == "C"
    assert MultipleChoice().score([trace(answer, choices=list(CHOICES))], "answer")[0].value == 1.0


@pytest.mark.parametrize("answer", NONE)
def test_two_letters_no_letter_and_letters_that_cannot_be_chosen_are_none(answer: str) -> None:
    assert chosen(answer, CHOICES) is None
    assert chosen_letter(answer, "ABCD") is None


@pytest.mark.parametrize("answer", [*SETTLED, *BY_TEXT, *NONE])
def test_the_reward_and_the_grader_agree(answer: str) -> None:
    asked = trace(answer, choices=list(CHOICES))
    assert bool(grade_choice(asked).correct) == bool(MultipleChoice().score([asked], "answer")[0].value)


def test_a_text_that_two_choices_have_stands_for_none() -> None:
    assert chosen(r"\boxed{blue}", ("blue", "Blue", "red")) is None
    assert chosen(r"\boxed{B}", ("blue", "Blue", "red")) == "B"
