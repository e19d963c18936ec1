"""Fitted judges against phrase lists on the same human labels, for whoever has the public data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lrmctl.judges.fitted import FitRequest, fit_judge
from lrmctl.judges.offline.labels import About, read_labelled
from lrmctl.judges.offline.measure import measure
from lrmctl.judges.spec import named_judges

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not os.environ.get("LRMCTL_DATA_DIR"), reason="LRMCTL_DATA_DIR is not set"),
]


@pytest.mark.parametrize(("about", "margin"), [("refused", 0.05), ("unsafe", 0.3)])
def test_held_out_prompts_are_judged_better_than_by_phrases(tmp_path: Path, about: About, margin: float) -> None:
    phrases = named_judges(["refusal-phrases", "refusal-phrases: {lists: jailbreakbench}"])
    lists = measure(phrases, read_labelled("rbr-gold", about, ""))
    found = fit_judge(FitRequest(("rbr-gold",), about), tmp_path / "judge")
    kappas = [one.rates["kappa"].value for one in lists.judges]
    assert found.held_out.kappa.value is not None
    assert all(k is not None and found.held_out.kappa.value > k + margin for k in kappas)
    assert found.held_out.rows == 344  # seven completions are empty, on which phrase lists say nothing either


def test_star1_has_machine_labels_and_no_unsafe_rows() -> None:
    found = read_labelled("star1", "unsafe", "")
    assert not any(found.labels)
    refused = read_labelled("star1", "refused", "")
    assert 0.5 < sum(refused.labels) / len(refused.labels) < 0.9
    assert "by machine" in refused.source
