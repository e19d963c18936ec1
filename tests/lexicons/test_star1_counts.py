"""Counts on STAR-1's thoughts against those that were made of them by other code."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from lrmctl.lexicons import get_lexicon

DATA = os.environ.get("LRMCTL_DATA_DIR", "")
FILE = Path(DATA) / "star1" / "STAR-1.json"


@pytest.mark.skipif(not FILE.is_file(), reason="no copy of STAR-1 under LRMCTL_DATA_DIR")
@pytest.mark.parametrize(
    ("name", "per_trace", "share", "per_1k_words"),
    [("cyclicreflex", 1.19, 0.697, 5.5), ("r2mu", 3.14, 1.0, 14.5), ("oat_zero", 0.001, 0.001, 0.005)],
)
def test_counts_agree_with_those_of_all_thousand_traces(
    name: str, per_trace: float, share: float, per_1k_words: float
) -> None:
    """The published figures are of 1,000 traces; the copy may hold fewer, hence 5 %."""
    rows = json.loads(FILE.read_text(encoding="utf-8"))
    found = [re.search(r"<think>(.*?)</think>", row["response"], re.S) for row in rows]
    thoughts = [match[1] for match in found if match]
    hits = [get_lexicon(name).count(text).total() for text in thoughts]
    words = sum(len(text.split()) for text in thoughts)
    assert sum(hits) / len(hits) == pytest.approx(per_trace, rel=0.05, abs=0.002)
    assert sum(h > 0 for h in hits) / len(hits) == pytest.approx(share, rel=0.05, abs=0.002)
    assert 1_000 * sum(hits) / words == pytest.approx(per_1k_words, rel=0.05, abs=0.005)
