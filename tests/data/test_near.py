"""Near repeats: exactly those that comparing every pair would find, and those that people would call so."""

from __future__ import annotations

import csv
import os
import random
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrmctl.data.near import THRESHOLD, Corpus, normalised, similarity

TEN = "please tell me how a bank vault is built today"


def in_common(a: list[str], b: list[str]) -> int:
    """Length of the longest common subsequence, by the textbook."""
    row = [0] * (len(b) + 1)
    for x in a:
        last = 0
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], last + 1 if x == y else max(row[j], row[j - 1])
    return row[-1]


def near(a: str, b: str) -> bool:
    one, other = a.split(), b.split()
    total = len(one) + len(other)
    return not total or 2 * in_common(one, other) / total >= THRESHOLD - 1e-9


TEXTS = st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=14).map(" ".join), max_size=12)
LONG = st.lists(st.lists(st.sampled_from("ab"), min_size=9, max_size=40).map(" ".join), max_size=8)


@given(TEXTS | LONG)
def test_near_repeats_are_those_of_comparing_every_pair(texts: list[str]) -> None:
    """A text counts if it is near to an earlier one that does not count itself."""
    kept: list[str] = []
    found = 0
    for text in dict.fromkeys(map(normalised, texts)):
        if any(near(text, other) for other in kept):
            found += 1
        else:
            kept.append(text)
    assert sum(not m.exact for m in Corpus(texts).duplicates()) == found


@given(TEXTS | LONG, TEXTS | LONG)
def test_matches_are_those_of_comparing_every_pair(held: list[str], asked: list[str]) -> None:
    wanted = {i for i, text in enumerate(asked) if any(near(text, other) for other in held)}
    found = Corpus(held).matches(asked)
    assert {match.index for match in found} == wanted
    assert all(near(asked[match.index], held[match.other]) for match in found)


@pytest.mark.parametrize(
    ("other", "repeats"),
    [
        ("Please, tell me how a BANK vault is built -- today!", True),
        (TEN.replace("today", "now"), True),  # one word of ten
        (TEN.replace("please", "do").replace("today", "now"), False),  # two
        (TEN.removesuffix(" today"), True),
        (TEN + " and tomorrow", True),
        ("today built is vault bank a how me tell please", False),  # the order counts
        ("please tell me how a", False),
    ],
)
def test_what_counts_as_a_repeat(other: str, repeats: bool) -> None:
    assert bool(Corpus([TEN]).matches([other])) is repeats


def test_similarity_is_zero_below_the_threshold() -> None:
    words = tuple(TEN.split())
    assert similarity(words, words) == 1
    assert similarity(words, words[:9]) == pytest.approx(18 / 19)
    assert similarity(words, words[:4]) == 0


@pytest.mark.skipif(not os.environ.get("LRMCTL_DATA_DIR"), reason="LRMCTL_DATA_DIR is not set")
def test_jailbreakbench_has_reworded_advbench_prompts() -> None:
    def column(name: str, key: str) -> list[str]:
        with (Path(os.environ["LRMCTL_DATA_DIR"]) / name).open(newline="", encoding="utf-8") as rows:
            return [row[key] for row in csv.DictReader(rows)]

    found = Corpus(column("advbench/advbench_behaviors.csv", "Behavior")).matches(
        column("jbb_harmful/jbb_harmful_goals.csv", "goal")
    )
    assert (sum(m.exact for m in found), sum(not m.exact for m in found)) == (11, 3)


def test_words_that_everyone_uses_do_not_make_it_slow() -> None:
    draw = random.Random(0)
    weights = [1 / (i + 1) for i in range(2_000)]
    texts = [" ".join(map(str, draw.choices(range(2_000), weights, k=30))) for _ in range(10_000)]
    started = time.process_time()
    assert Corpus(texts[:9_000]).matches(texts[9_000:]) == []
    assert time.process_time() - started < 10  # 1 s on a machine with nothing else to do
