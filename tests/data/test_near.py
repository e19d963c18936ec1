"""Near repeats: exactly those that comparing every pair would find, and those that people would call so."""

from __future__ import annotations

import csv
import os
import random
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrmctl.data.near_duplicates import THRESHOLD, Corpus, normalised, similarity

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


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "\u8bf7\u4f60\u7528\u4e09\u53e5\u8bdd\u89e3\u91ca\u4e00\u4e0b\u4e3a\u4ec0\u4e48\u5929\u7a7a\u5728\u6674\u6717\u7684\u767d\u5929\u770b\u8d77\u6765\u662f\u84dd\u8272\u7684",
            "\u8bf7\u4f60\u7528\u4e09\u53e5\u8bdd\u89e3\u91ca\u4e00\u4e0b\u4e3a\u4ec0\u4e48\u5929\u7a7a\u5728\u6674\u6717\u7684\u767d\u5929\u770b\u4e0a\u53bb\u662f\u84dd\u8272\u7684",
        ),
        (
            "\u7a7a\u304c\u9752\u304f\u898b\u3048\u308b\u7406\u7531\u3092\u4e09\u3064\u306e\u6587\u3067\u8aac\u660e\u3057\u3066\u304f\u3060\u3055\u3044",
            "\u7a7a\u304c\u9752\u304f\u898b\u3048\u308b\u7406\u7531\u3092\u4e09\u3064\u306e\u6587\u3067\u8aac\u660e\u3057\u3066\u4e0b\u3055\u3044",
        ),
        (
            "\u0e0a\u0e48\u0e27\u0e22\u0e2d\u0e18\u0e34\u0e1a\u0e32\u0e22\u0e27\u0e48\u0e32\u0e17\u0e33\u0e44\u0e21\u0e17\u0e49\u0e2d\u0e07\u0e1f\u0e49\u0e32\u0e40\u0e1b\u0e47\u0e19\u0e2a\u0e35\u0e1f\u0e49\u0e32",
            "\u0e0a\u0e48\u0e27\u0e22\u0e2d\u0e18\u0e34\u0e1a\u0e32\u0e22\u0e27\u0e48\u0e32\u0e17\u0e33\u0e44\u0e21\u0e17\u0e49\u0e2d\u0e07\u0e1f\u0e49\u0e32\u0e40\u0e1b\u0e47\u0e19\u0e2a\u0e35\u0e1f\u0e49\u0e32\u0e04\u0e30",
        ),
        (
            unicodedata.normalize("NFC", "Der Himmel \u00fcber M\u00fcnchen"),
            unicodedata.normalize("NFD", "Der Himmel \u00fcber M\u00fcnchen"),
        ),
        (
            unicodedata.normalize("NFC", "\ud558\ub298\uc774 \uc65c \ud30c\ub780\uac00\uc694"),
            unicodedata.normalize("NFD", "\ud558\ub298\uc774 \uc65c \ud30c\ub780\uac00\uc694"),
        ),
        ("tell me how", "\uff54\uff45\uff4c\uff4c \uff4d\uff45 \uff48\uff4f\uff57"),
        ("tell me how", "te\u200bll m\u00ade h\ufeffow"),
        ("I can't say it", "I can\u2019t say it"),
        ("STRASSE", "stra\u00dfe"),
        (
            "\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e",
            "\u0928\u092e\u0938\u094d\u0924\u0947, \u0926\u0941\u0928\u093f\u092f\u093e!",
        ),
    ],
)
def test_repeats_are_found_in_every_script_and_form(one: str, other: str) -> None:
    assert Corpus([one]).matches([other])
    assert Corpus([one, other]).duplicates()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("\u5982\u4f55\u505a\u86cb\u7cd5", "\u5982\u4f55\u505a\u9762\u5305"),
        ("\u222b + 1", "\u2211 - 1 2"),
        ("???", "!!!"),
        ("\U0001f642", "\U0001f641"),
        ("\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35", "\u0e02\u0e2d\u0e1a\u0e04\u0e38\u0e13"),
    ],
)
def test_short_texts_of_other_scripts_and_signs_are_not_taken_for_each_other(one: str, other: str) -> None:
    assert not Corpus([one]).matches([other])


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


def test_words_that_everyone_uses_leave_few_pairs_to_compare(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(0)
    weights = [1 / (i + 1) for i in range(2_000)]
    texts = [" ".join(map(str, draw.choices(range(2_000), weights, k=30))) for _ in range(10_000)]
    compared: list[int] = []
    monkeypatch.setattr("lrmctl.data.near_duplicates.similarity", lambda a, b: compared.append(1) or similarity(a, b))
    assert Corpus(texts[:9_000]).matches(texts[9_000:]) == []
    assert len(compared) < 9_000_000 / 20  # of all pairs
