from __future__ import annotations

import pytest

from lrmctl.analysis import LEXICONS, get_lexicon
from lrmctl.errors import NotFoundError


def test_words_are_matched_whole_and_without_regard_to_case() -> None:
    counts = get_lexicon("cyclicreflex").count("Wait. WAIT! waiting buttons; but, alternatively\nawait rebut")
    assert counts == {"wait": 2, "but": 1, "alternatively": 1}


def test_the_longest_phrase_wins_and_is_one_hit() -> None:
    counts = get_lexicon("lab").count("Wait, let me think again. Let  me\ncheck.")
    assert counts == {"wait": 1, "let me think again": 1, "let me check": 1}


def test_hyphenated_words_are_found_as_written() -> None:
    counts = get_lexicon("oat_zero").count("I re-evaluate and double-check; I recheck. Check again.")
    assert counts == {"re-evaluate": 1, "double-check": 1, "recheck": 1, "check again": 1}


def test_an_unknown_lexicon_is_refused_with_a_suggestion() -> None:
    with pytest.raises(NotFoundError, match="cyclicreflex"):
        get_lexicon("cyclicreflx")


@pytest.mark.parametrize("name", LEXICONS)
def test_every_lexicon_is_versioned_sourced_and_finds_each_of_its_words(name: str) -> None:
    lexicon = LEXICONS[name]
    assert lexicon.version
    assert lexicon.source
    for word in lexicon.words:
        assert lexicon.count(f"so {word.capitalize()}, then") == {word: 1}


def test_a_list_that_is_counted_otherwise_than_by_its_source_says_so() -> None:
    assert "bare token ids" in str(LEXICONS["cyclicreflex"].to_json()["note"])
    assert "any case" in LEXICONS["cyclicreflex"].note
