"""A thought or an answer of characters that nobody sees is empty wherever it is looked at."""

from __future__ import annotations

import pytest

from lrmctl.judges.refusal_phrases import RefusalPhrases
from lrmctl.rewards.builtin.format import Format
from lrmctl.trace import trace_from_text
from lrmctl.types import Prompt, Trace

PROMPT = Prompt.user("p", "q1", "harmful")
UNSEEN = (
    *("\u200b", "\ufeff\u00ad", "\u3164", "\u2063", "\u115f", "\u2800", "\U000e0041\U000e007f", "\ufe0f", "\u180e"),
    *("\u0301", "\u00a0\u2003", "\u2028\u200e", "\u202e", "\x00", "\u2060 \n\u200d", ""),
)


@pytest.mark.parametrize("unseen", UNSEEN, ids=ascii)
def test_an_answer_that_nobody_sees_is_in_bad_form_and_no_verdict_is_given(unseen: str) -> None:
    trace = Trace(PROMPT, "I will say nothing.", unseen, "closed")
    assert Format().score([trace], "whole")[0].value == -1.0
    assert Format().score([trace], "answer")[0].value == -1.0
    assert RefusalPhrases().judge([trace], "answer")[0].malformed is True


@pytest.mark.parametrize("unseen", UNSEEN, ids=ascii)
def test_a_thought_that_nobody_sees_is_empty(unseen: str) -> None:
    trace = trace_from_text(PROMPT, f"<think>{unseen}</think>\n\nNo.", opened=False, finish_reason="stop")
    assert "empty" in trace.irregular
    assert Format().score([trace], "whole")[0].value == -1.0
    given = Trace(PROMPT, unseen, "No.", "closed")  # of a row, which says nothing of what is odd about it
    assert Format().score([given], "thinking")[0].value == -1.0
    assert Format(thinking="absent").score([given], "whole")[0].value == 0.0


@pytest.mark.parametrize("seen", ["No.", "\u200bNo\u200b", "\u5426", ".", "\U0001f642\ufe0f", "e\u0301"], ids=ascii)
def test_what_can_be_seen_is_not_empty(seen: str) -> None:
    trace = trace_from_text(PROMPT, f"<think>{seen}</think>\n\n{seen}", opened=False, finish_reason="stop")
    assert trace.irregular == ()
    assert Format().score([trace], "whole")[0].value == 0.0
