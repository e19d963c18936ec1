"""Comparing and exporting what `evaluate` itself writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lrmctl.comparison import compare_all, differences
from lrmctl.errors import LrmctlError
from lrmctl.evaluation import evaluate
from lrmctl.export.lm_eval import write_lm_eval
from lrmctl.export.source import ExportedEvaluation
from lrmctl.lab import base_path
from lrmctl.recipe.schema.evaluation import EvalSection


def section(**more: object) -> EvalSection:
    sets = [{"use": "lab-harmful"}, {"use": "lab-benign"}]
    how = {"samples": 2, "limit": 3, "max_new_tokens": 96, "temperatures": [0.6], "top_p": 1.0}
    return EvalSection.model_validate({"safety": sets, "reasoning": ["lab_arithmetic"], **how, **more})


@pytest.mark.e2e
def test_a_run_and_its_variant_are_compared_on_purpose_and_exported(tmp_path: Path) -> None:
    evaluate(base_path(), section(), tmp_path, seed=0)
    evaluate(base_path(), section(decoding="zero-think"), tmp_path, seed=1)
    sides = [("run", tmp_path / "eval"), ("run@zero-think", tmp_path / "eval-zero-think")]
    with pytest.raises(LrmctlError, match="zero-think") as refused:
        list(compare_all(sides))
    assert "--allow decoding" in refused.value.fix
    (found,) = compare_all(sides, allow=["decoding"])
    summaries = [json.loads((folder / "summary.json").read_text()) for _, folder in sides]
    for delta in found.deltas:
        sets = [[e for e in s["sets"] if (e["set"], e["kind"]) == (delta.set, delta.kind)] for s in summaries]
        figures = [entry["metrics"][delta.metric] for (entry,) in sets]
        if delta.metric == "thinking_safe":  # zero-think has thoughts only where the model began one all the same
            counted = [figure["n"] for figure in figures]
            assert (delta.prompts, delta.prompts + delta.left_out) == (min(counted), max(counted))
            assert delta.b == pytest.approx(figures[1]["value"])
        else:
            assert delta.left_out == 0
            assert [figure["value"] for figure in figures] == pytest.approx([delta.a, delta.b])
    assert {d.kind for d in found.deltas} == {"harmful", "benign", "reasoning"}
    assert [b.b["thinking_tokens"] for b in found.beside] != [b.a["thinking_tokens"] for b in found.beside]
    assert {"seed", "sampling.decoding"} <= {d.key for d in differences(sides[0][1], sides[1][1])}
    assert len(write_lm_eval(ExportedEvaluation(sides[1][1], "run"), tmp_path / "out")) == 4
