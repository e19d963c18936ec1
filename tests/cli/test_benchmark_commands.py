"""`lrmctl benchmark`: what there is, where it comes from, and nothing harmful on the screen unless asked for."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

PLUGIN = """
from lrmctl import Prompt, hookimpl

class Own:
    name, license, url, split = "own", "CC0", "https://example.org/own", "dev"
    def load(self):
        return [Prompt.user("own/1", "a garden?", "benign")]

class NeedsOptions(Own):
    def __init__(self, where):
        self.where = where

@hookimpl
def lrmctl_benchmarks(register):
    register("own", Own, summary="somebody's prompts")
    register("own-with-options", NeedsOptions)
"""


@pytest.fixture
def nothing_here(monkeypatch, tmp_path):
    monkeypatch.delenv("LRMCTL_DATA_DIR", raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def data_dir() -> Path:
    folder = os.environ.get("LRMCTL_DATA_DIR")
    if not folder:
        pytest.skip("LRMCTL_DATA_DIR is not set")
    return Path(folder)


def listed(result) -> dict:
    assert result.code == 0, result.err
    return {one["name"]: one for one in json.loads(result.out)["data"]["safety"]}


@pytest.mark.usefixtures("nothing_here")
def test_the_list_says_kinds_sizes_licence_and_whether_a_set_is_here(lrmctl):
    found = listed(lrmctl("benchmark", "list", "--json"))
    first = {name: one["splits"][0] for name, one in found.items() if one["splits"]}
    assert {"strongreject", "harmbench", "xstest", "wildguardtest", "lab-harmful"} <= set(first)
    assert (first["xstest"]["prompts"], first["xstest"]["kinds"], first["xstest"]["here"]) == (250, ["benign"], False)
    assert first["wildguardtest"]["gated"]
    assert "hf auth login" in first["wildguardtest"]["how_to_get"]
    assert first["lab-harmful"]["here"]
    assert "'path'" in found["prompts-file"]["needs"]
    said = lrmctl("benchmark", "list").out
    assert "250 | 200 | 450" in said
    assert "CC BY 4.0" in said


@pytest.mark.usefixtures("nothing_here")
def test_a_set_that_is_not_here_is_shown_without_downloading_it(lrmctl):
    result = lrmctl("benchmark", "show", "sorry-bench", "--option", "version=202406")
    assert result.code == 0, result.err
    assert "450 harmful, not here" in result.out
    assert "$LRMCTL_DATA_DIR/sorry_bench_202406/question.jsonl" in result.out
    shown = json.loads(lrmctl("benchmark", "show", "or-bench", "--json").out)["data"]
    assert (shown["prompts"], shown["ids"], shown["provenance"]) == (None, None, None)
    assert shown["split"]["facts"]["hub"] == "bench-llm/or-bench"


def test_prompts_are_printed_only_when_asked_for(lrmctl, data_dir):
    from lrmctl.hooks import registry

    first = registry.make("benchmark", "strongreject").load()[0]
    without, with_one = (lrmctl("benchmark", "show", "strongreject", *words).out for words in ((), ("--prompts", "1")))
    assert first.id in without
    assert first.text not in without
    assert first.text in with_one
    assert str(data_dir / "strongreject") in without


def test_wrong_names_and_options_are_user_errors(lrmctl):
    for words, hint in (
        (("strongrejct",), "did you mean 'strongreject'?"),
        (("xstest", "--option", "splt=safe"), "did you mean 'split'?"),
        (("xstest", "--option", "split=saf"), "did you mean 'safe'?"),
        (("xstest", "--option", "split"), "KEY=VALUE"),
    ):
        result = lrmctl("benchmark", "show", *words)
        assert result.code == 2
        assert hint in result.err


def test_other_peoples_benchmarks_are_listed_and_shown(start, tmp_path):
    site = tmp_path / "site"
    info = site / "own_bench-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-bench\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lrmctl]\nown = own_bench\n")
    (site / "own_bench.py").write_text(PLUGIN)
    out, err = start("benchmark", "list", "--json", plugins=site).communicate(timeout=60)
    found = {one["name"]: one for one in json.loads(out)["data"]["safety"]}
    assert (found["own"]["origin"], found["own"]["splits"][0]["name"]) == ("own-bench 1.0", "own/dev")
    assert found["own"]["splits"][0]["prompts"] is None
    assert "'where'" in found["own-with-options"]["needs"]
    out, err = start("benchmark", "show", "own", plugins=site).communicate(timeout=60)
    assert "own/1" in out, err
    assert "a garden?" not in out


def test_reasoning_tasks_are_listed_beside(lrmctl):
    tasks = {one["name"]: one for one in json.loads(lrmctl("benchmark", "list", "--json").out)["data"]["reasoning"]}
    assert tasks["mmlu_pro"]["prompts"] == 12_032
    assert tasks["gpqa_diamond"]["gated"]
    assert tasks["lab_arithmetic"]["here"]
    assert "gsm8k_platinum" in lrmctl("benchmark", "list").out
