from __future__ import annotations

import pytest

from lrmctl.errors import NotFoundError
from lrmctl.lexicons import builtin_lexicons, get_lexicon


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


@pytest.mark.parametrize("name", builtin_lexicons())
def test_every_lexicon_is_versioned_sourced_and_finds_each_of_its_words(name: str) -> None:
    lexicon = builtin_lexicons()[name]
    assert lexicon.version
    assert lexicon.source
    for word in lexicon.words:
        assert lexicon.count(f"so {word.capitalize()}, then") == {word: 1}


def test_a_list_that_is_counted_otherwise_than_by_its_source_says_so() -> None:
    listed = builtin_lexicons()["cyclicreflex"].to_json()
    assert "bare token ids" in str(listed["counting"])
    assert "any case" in str(listed["counting"])


def test_substrings_are_counted_where_the_list_says_so() -> None:
    text = "He rechecked it, rethinking all."
    assert get_lexicon("oat_zero").count(text) == {}
    assert get_lexicon("oat_zero_substrings").count(text) == {"recheck": 1, "rethink": 1}


def test_typographic_apostrophes_are_apostrophes() -> None:
    strict = get_lexicon("self-correction")
    assert strict.count("So that\u2019s not right.") == strict.count("So that's not right.") == {"that's not right": 1}


def test_the_strict_list_leaves_concessions_alone() -> None:
    strict = get_lexicon("self-correction")
    assert strict.strict
    assert strict.count("I could, but I will wait. However, it is fine.") == {}
    assert strict.count("So 5. Wait, no: I made a mistake. Let me recalculate.").total() == 3


def test_hits_are_places_in_the_text() -> None:
    text = "Hmm. Let  me\ncheck."
    assert [text[hit.start : hit.end] for hit in get_lexicon("lab").hits(text)] == ["Hmm", "Let  me\ncheck"]
