"""Words in any language: those of blanks where a script has them, characters where it has none."""

from __future__ import annotations

import unicodedata

import pytest

from lrmctl._util.words import words_of
from lrmctl.monitors.alarms.text import repeated

UNITS = {
    "english": "we check the rule once more, ",
    "chinese": "\u6211\u4eec\u518d\u68c0\u67e5\u4e00\u904d\uff0c",
    "japanese": "\u3082\u3046\u4e00\u5ea6\u30eb\u30fc\u30eb\u3092\u78ba\u8a8d\u3059\u308b\u3002",
    "thai": "\u0e15\u0e23\u0e27\u0e08\u0e2a\u0e2d\u0e1a\u0e2d\u0e35\u0e01\u0e04\u0e23\u0e31\u0e49\u0e07",
    "khmer": "\u1796\u17b7\u1793\u17b7\u178f\u17d2\u1799\u1798\u17d2\u178f\u1784\u1791\u17c0\u178f",
    "lao": "\u0e81\u0ea7\u0e94\u0eaa\u0ead\u0e9a\u0ead\u0eb5\u0e81",
    "burmese": "\u1011\u1015\u103a\u1005\u1005\u103a\u1006\u1031\u1038\u1015\u102b",
    "korean": "\ub2e4\uc2dc \ud55c \ubc88 \uaddc\uce59\uc744 \ud655\uc778\ud569\ub2c8\ub2e4. ",
    "hindi": "\u0939\u092e \u0928\u093f\u092f\u092e \u092b\u093f\u0930 \u0926\u0947\u0916\u0947\u0902\u0964 ",
    "decomposed": unicodedata.normalize("NFD", "wir pr\u00fcfen die \u00e4ltere Regel, "),
    "full width": "\uff37\uff45 \uff43\uff48\uff45\uff43\uff4b \uff49\uff54\u3002",
    "arabic": "\u0646\u0631\u0627\u062c\u0639 \u0627\u0644\u0642\u0627\u0639\u062f\u0629 \u0645\u0631\u0629\u060c ",
}


@pytest.mark.parametrize("language", UNITS)
def test_a_loop_is_seen_in_every_language(language: str) -> None:
    assert repeated(UNITS[language] * 20) > 0.5
    assert repeated(UNITS[language]) == 0.0


@pytest.mark.parametrize("language", UNITS)
def test_a_sentence_of_any_language_has_words(language: str) -> None:
    assert len(words_of(UNITS[language])) >= 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don\u2019t stop, I`m ok", ["don't", "stop", "i'm", "ok"]),
        (unicodedata.normalize("NFD", "M\u00fcnchen"), ["m\u00fcnchen"]),
        ("\u0939\u093f\u0928\u094d\u0926\u0940", ["\u0939\u093f\u0928\u094d\u0926\u0940"]),
        ("\uff26\uff35\uff2c\uff2c", ["full"]),
        ("u\u200bn", ["un"]),
        ("a_b", ["a", "b"]),
        ("\u8272 red", ["\u8272", "red"]),
        ("\u2014 \u2026", []),
        ("", []),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert words_of(text) == words
