"""What the audit finds in training data, and what it must not call a repeat."""

from __future__ import annotations

import random

import pytest

from lrmctl.data.audit import RenderedRows, audit, histogram
from lrmctl.data.near_duplicates import similarity
from lrmctl.types import Kind, Prompt

LONG = "Please tell me in some detail how a bank vault is built, who builds it, and what it is made of these days"


def prompts(*texts: str, kind: Kind = "harmful", source: str = "s") -> list[Prompt]:
    return [Prompt.user(f"p{i}", text, kind, source=source) for i, text in enumerate(texts)]


def test_exact_repeats_differ_in_case_and_punctuation_only() -> None:
    found = audit(prompts("Open the vault!", "open  the VAULT", "Open the bank")).duplicates
    assert (found.exact, found.near) == (1, 0)
    assert (found.examples[0].text, found.examples[0].repeats) == ("open  the VAULT", "Open the vault!")


def test_a_text_with_one_word_changed_is_a_near_repeat() -> None:
    found = audit(prompts(LONG, LONG.replace("days", "times"), "something else")).duplicates
    assert (found.exact, found.near) == (0, 1)
    assert not found.examples[0].exact


def test_rows_that_a_mixture_repeats_on_purpose_are_no_duplicates() -> None:
    asked = prompts("one text", "another text")
    found = audit([*asked, *asked])
    assert (found.rows, found.duplicates.exact) == (4, 0)


def test_evaluation_prompts_among_the_training_ones_are_counted_by_set() -> None:
    trained = prompts(LONG, "A question of its own")
    sets = {"leaky": prompts(LONG.upper(), LONG.replace("days", "times"), "unseen"), "clean": prompts("not this one")}
    overlap = audit(trained, against=sets).overlap
    assert (overlap["leaky"].exact, overlap["leaky"].near) == (1, 1)
    assert (overlap["clean"].exact, overlap["clean"].near) == (0, 0)


def test_rows_are_counted_by_kind_and_source_and_dropped_ones_too() -> None:
    asked = [*prompts("a", "b"), Prompt.user("x", "c", "benign", source="t")]
    found = audit(asked, RenderedRows([(3, 9), (3, 500), (4, 8)], [True, False, True]))
    assert found.counts == {"harmful / s": 2, "benign / t": 1}
    assert found.dropped == {"harmful / s": 1}
    assert found.tokens["response"].percentiles["max"] == 497
    assert set(audit(asked, RenderedRows([(3, 3)] * 3, [True] * 3)).tokens) == {"prompt"}


@pytest.mark.parametrize(
    ("response", "opened", "lost"),
    [
        ("a thought\n</think>\n\nan answer", True, 0),
        ("<think>\na thought\n</think>\n\nan answer", False, 0),
        ("an answer without its thought", False, 1),
        ("a thought that never ends", True, 1),
        ("\n</think>\n\nan answer", True, 1),
    ],
)
def test_rows_without_closed_thinking_are_found(response: str, opened: bool, lost: int) -> None:
    rendered = RenderedRows([(3, 9)], [True], [response], opened=opened)
    assert audit(prompts("q"), rendered).thinking_lost == lost


def test_past_thinking_counts_as_stripped_only_if_the_template_strips() -> None:
    turns = ({"role": "assistant", "content": "<think>\nt\n</think>\n\na"}, {"role": "user", "content": "q"})
    asked = [Prompt("p", turns, "benign")]
    stripped = [audit(asked, RenderedRows([(3, 9)], [True], strips=s)).past_thinking_stripped for s in (True, False)]
    assert stripped == [1, 0]


def test_a_histogram_counts_every_row_once() -> None:
    values = [1, 5, 5, 9, 100]
    found = histogram(values)
    assert (sum(found.counts), found.edges[0], found.edges[-1]) == (5, 1, 100)
    assert (found.percentiles["p50"], found.percentiles["max"]) == (5.0, 100.0)


@pytest.mark.e2e
def test_of_twenty_thousand_rows_few_pairs_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(0)
    words = [f"w{i}" for i in range(3000)]
    texts = [" ".join(draw.choices(words, k=draw.randint(10, 60))) for _ in range(20_000)]
    compared: list[int] = []
    monkeypatch.setattr("lrmctl.data.near_duplicates.similarity", lambda a, b: compared.append(1) or similarity(a, b))
    found = audit(prompts(*texts, LONG, LONG.replace("days", "times")), against={"e": prompts(*texts[:300])})
    assert len(compared) < 20_000 * 10  # of 200,000,000 pairs
    assert (found.duplicates.near, found.overlap["e"].exact) == (1, 300)
