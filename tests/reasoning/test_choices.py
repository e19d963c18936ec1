"""Multiple choice: which letter an answer gives, and an order of choices that nothing else can change."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import Any

import pytest

from lrmctl.reasoning.choices import ask, chosen, grade_choice, pinned_order
from lrmctl.types import Prompt, Trace

CHOICES = ("12 m", "15 m", "18 m", "none of these")


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        (r"So \boxed{C}.", "C"),
        (r"\boxed{(C)}", "C"),
        (r"\boxed{\text{C}}", "C"),
        (r"\boxed{\textbf{(C)}}", "C"),
        (r"\boxed{\mathrm{C}}", "C"),
        (r"\boxed{C) 18 m}", "C"),
        (r"\boxed{C. 18 m}", "C"),
        (r"\boxed{$C$}", "C"),
        (r"\boxed{18 m}", "C"),
        (r"\boxed{\text{18 m}}", "C"),
        (r"first \boxed{A}, no: \boxed{C}", "C"),
        (r"Answer: A. No, \boxed{C}", "C"),
        ("Answer: C", "C"),
        ("**Answer:** C", "C"),
        ("Answer: **C**", "C"),
        ("The answer is (C).", "C"),
        ("Answer: A\nWait.\nAnswer: C", "C"),
        (r"\boxed{E}", None),
        (r"\boxed{}", None),
        (r"\boxed{42 m}", None),
        ("Answer: E", None),
        ("The answer is A little more than that.", None),
        ("", None),
    ],
)
def test_the_letter_of_an_answer(answer: str, letter: str | None) -> None:
    assert chosen(answer, CHOICES) == letter


def test_a_choice_that_is_itself_a_letter_is_no_trap() -> None:
    assert chosen(r"\boxed{A}", ("B", "A")) == "A"  # the letter of the list, not the text of the second choice


def trace(answer: str, **fields: Any) -> Trace:
    prompt = Prompt.user("p", "which?", "reasoning", reference="C", meta={"choices": list(CHOICES)})
    return Trace(**{"prompt": prompt, "thinking": "so", "answer": answer, "thinking_state": "closed", **fields})


def test_only_a_finished_answer_counts_and_a_failed_one_is_neither_right_nor_wrong() -> None:
    assert grade_choice(trace(r"\boxed{C}")).correct is True
    assert grade_choice(trace(r"\boxed{B}")).extracted == "B"
    cut = grade_choice(trace(r"\boxed{C}", finish_reason="length"))
    assert (cut.correct, cut.extracted) == (False, None)
    assert grade_choice(trace("", thinking=r"\boxed{C}", thinking_state="unclosed")).correct is False
    assert grade_choice(trace("", finish_reason="error")).correct is None


def test_the_order_of_choices_hangs_on_the_question_and_nothing_else() -> None:
    orders = set()
    for seed in range(20):
        random.seed(seed)
        orders.add(tuple(pinned_order("0/question", CHOICES)))
    assert len(orders) == 1
    (order,) = orders
    assert sorted(order) == sorted(CHOICES)
    assert pinned_order("0/question", CHOICES[::-1]) == list(order)  # nor on the order in the file
    code = f"from lrmctl.reasoning.choices import pinned_order; print(pinned_order('0/question', {CHOICES!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(list(order))


def test_questions_and_seeds_have_orders_of_their_own() -> None:
    firsts = [pinned_order(f"0/{i}", CHOICES)[0] for i in range(400)]
    for choice in CHOICES:
        assert 60 < firsts.count(choice) < 140
    assert [pinned_order(f"1/{i}", CHOICES)[0] for i in range(400)] != firsts


def test_a_question_is_asked_with_letters() -> None:
    assert ask("How far? ", CHOICES[:2], "Think.") == "How far?\n\n(A) 12 m\n(B) 15 m\n\nThink."
