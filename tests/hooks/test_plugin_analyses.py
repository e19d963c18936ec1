"""Analyses through the hook: what a plugin finds is written, printed and reported, and what it raises ends nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from report_fixtures import make_arm, read

from lrmctl.analysis import quantile
from lrmctl.hooks import registry
from lrmctl.reporting.build import environment
from lrmctl.reporting.figures import arm_styles
from lrmctl.reporting.load import ArmFolder, load_arms, primary_sets
from lrmctl.reporting.panels.base import View
from lrmctl.reporting.panels.further import further_section

PLUGIN = """
    from lrmctl import hookimpl
    from lrmctl.analysis import Analysis, Cell, Estimate, Figure, Findings, group, share

    class Doubts(Analysis):
        '''Share of thoughts with a word.'''
        reads_base = True
        def __init__(self, word: str = "perhaps"):
            self.word = word
        def analyze(self, rows, base):
            figures = []
            for cell, members in group((row, self.word in row.trace.thinking) for row in rows):
                prompts = [row.trace.prompt.id for row, _ in members]
                shares = share(prompts, [hit for _, hit in members])
                figures.append(Figure(cell, "thoughts <b>with</b> it", shares, "{%}", "lower"))
            return Findings(figures, {"word": self.word, "base": base and len(base)})

    class Breaks(Analysis):
        def analyze(self, rows, base):
            raise KeyError("no such column")

    class Endless:  # derives from nothing
        def analyze(self, rows, base):
            estimate = Estimate(float("inf"), 0, 0, 1)
            return Findings([Figure(Cell("s", "harmful", 1, "all"), "far", estimate)])

    @hookimpl
    def lrmctl_analyses(register):
        register("doubts", Doubts)
        register("breaks", Breaks, summary="raises")
        register("endless", Endless, summary="gives what no file can hold")
        register("entropy", Doubts, summary="a name of lrmctl's own")
"""


@pytest.fixture
def run(tmp_path: Path, install: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Path:
    install("acme-doubts", "acme_doubts", PLUGIN)
    monkeypatch.setattr(registry._default, "_third_party", None)
    return make_arm(tmp_path, "rft", n=4).path


ONLY = ("--set", "analysis.entropy=false", "--set", "analysis.lexicons=[lab]")


def test_what_plugins_find_is_written_printed_and_reported(lrmctl: Callable[..., Any], run: Path) -> None:
    also = "analysis.also=[breaks, {use: doubts, options: {word: hazard}}, endless, length]"
    said = lrmctl("analyze", run, "--base", run, *ONLY, "--set", also)
    assert said.code == 0
    assert "the analysis 'breaks' of acme-doubts failed: KeyError: 'no such column'" in " ".join(said.err.split())
    assert "thoughts <b>with</b> it" in said.out
    assert "thinking, median" in said.out
    found = read(run / "analysis" / "doubts.json")
    assert (found["distribution"], found["version"], found["options"]) == ("acme-doubts", "1.2", {"word": "hazard"})
    assert (
        found["rows_sha256"] == found["base_rows_sha256"] == read(run / "analysis" / "reflection.json")["rows_sha256"]
    )
    assert found["data"] == {"word": "hazard", "base": len((run / "eval" / "rows.jsonl").read_text().splitlines())}
    assert {"set", "kind", "temperature", "outcome", "figure", "value", "low", "high", "n", "unit", "better"} == {
        *found["cells"][0]
    }
    failed = read(run / "analysis" / "endless.json")
    assert (failed["cells"], failed["error"].partition(":")[0]) == ([], "ValueError")
    times = [c for c in read(run / "analysis" / "length.json")["cells"] if c["figure"].endswith("the base's")]
    assert {c["value"] for c in times} == {1.0}

    arms = load_arms([ArmFolder("rft", "Rejection", False, run)], {})
    section = further_section(View(arms, arm_styles([("Rejection", False)]), primary_sets(arms), 0.6, "lab"))
    page = environment().get_template("parts.html.j2").module.section(section, 0.6)  # type: ignore[attr-defined]
    assert "thoughts &lt;b&gt;with&lt;/b&gt; it" in page
    assert "<b>with</b>" not in page
    assert "Rejection: the analysis breaks failed: KeyError" in page
    assert "doubts: acme-doubts 1.2; endless: acme-doubts 1.2; length: lrmctl" in page


@pytest.mark.parametrize(
    ("also", "told"),
    [
        ("[doubt]", "did you mean 'doubts'"),
        ("[{use: doubts, options: {wrod: x}}]", "did you mean 'word'"),
        ("[entropy]", "name the distribution"),
        ("[length, length]", "named twice"),
    ],
)
def test_an_analysis_that_cannot_be_is_refused_before_anything_is_counted(
    lrmctl: Callable[..., Any], run: Path, also: str, told: str
) -> None:
    refused = lrmctl("analyze", run, *ONLY, "--set", f"analysis.also={also}")
    assert refused.code == 2
    assert told in " ".join(refused.err.split())
    assert not (run / "analysis" / "length.json").exists()


def test_a_qualified_name_has_a_file_of_its_own(lrmctl: Callable[..., Any], run: Path) -> None:
    said = lrmctl("analyze", run, *ONLY, "--set", "analysis.also=['acme-doubts:entropy']", "--json")
    assert "acme-doubts-entropy" in json.loads(said.out)["data"]
    assert (run / "analysis" / "acme-doubts-entropy.json").is_file()


def test_a_quantile_is_one_of_the_values_and_its_interval_resamples_prompts() -> None:
    prompts = [f"p{i}" for i in range(40) for _ in range(3)]
    values = [float(i) for i in range(40) for _ in range(3)]
    median = quantile(prompts, values, 0.5)
    assert (median.value, median.n) == (19.0, 40)
    assert median.low < 19 < median.high
    assert quantile(prompts, values, 1.0).value == 39.0
    alone = quantile(["p", "p"], [1.0, 3.0], 0.5)
    assert (alone.value, alone.low != alone.low) == (1.0, True)
    assert quantile([], [], 0.5).n == 0
