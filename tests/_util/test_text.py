"""Texts with nothing in them that can be seen."""

from __future__ import annotations

import pytest

from lrmctl._util.text import is_blank, visible

UNSEEN = (
    *("", " \n\t", "\u200b", "\u200b\u200d\u2060", "\ufeff", "\u202e\u202c", "\u3164", "\u2800\u2800", "\u00ad"),
    *("\u180e", "\ufe0f", "\U000e0041", "\u034f", "\u2028", "\u0085", "\x00", "\u3000", "\u115f\u1160\uffa0"),
    *("\u2063", "\u2065", "\U000e0000", "\u0301\u0308", "\u20dd", "\u2028\u200e"),
)


@pytest.mark.parametrize("text", UNSEEN, ids=ascii)
def test_invisible_characters_alone_are_blank(text: str) -> None:
    assert is_blank(text)
    assert visible(text) == ""


@pytest.mark.parametrize("text", ["a", ".", "\u200ba\u200b", "。", "\u0627", "e\u0301", "🙂", "0"])
def test_anything_that_can_be_read_is_not_blank(text: str) -> None:
    assert not is_blank(text)


def test_invisible_characters_inside_a_text_stay() -> None:
    assert visible("\u200b a\u200db \ufeff\n") == "a\u200db"
