"""A panel as a judge: its options, what it asks of its members, and what recipes and smoke runs know of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from judge_engines import Scripted
from scripted_judge import install, said

from lrmctl.errors import RecipeError
from lrmctl.hooks import registry
from lrmctl.judges.base import judge_part, judge_parts, make_judge
from lrmctl.judges.describe import says_refusal, show
from lrmctl.judges.model_judge import ModelJudge
from lrmctl.judges.panel.judge import Panel, panel_facts
from lrmctl.judges.panel.opinions import opinions_in
from lrmctl.judges.query import JudgeReply
from lrmctl.judges.templates.llama_guard import LlamaGuard
from lrmctl.recipe.load import load_recipe as load
from lrmctl.recipe.named_plugins import named_plugins
from lrmctl.smoke.replace_models import component, safety_set
from lrmctl.smoke.stand_ins import NAME
from lrmctl.testing.checks import check_judge
from lrmctl.types import Prompt, Trace

LISTS = ["refusal-phrases", {"refusal-phrases": {"lists": "jailbreakbench"}}]
GUARDS = ["llama-guard-3", {"qwen3guard": {"mode": "loose"}}, "stand-in"]


def test_the_contract_is_kept():
    check_judge(make_judge("panel", {"judges": [*LISTS, "stand-in"]}))


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"judges": "stand-in"}, "needs a list of judges"),
        ({"judges": ["stand-in"]}, "at least two judges, and this one has 1"),
        ({"judges": ["stand-in", 3]}, "3 is no judge of a panel"),
        ({"judges": ["stand-in", "stand-in"]}, "stand-in is in the panel twice"),
        ({"judges": ["stand-in", {"panel": {"judges": LISTS}}]}, "cannot have a panel in it"),
        ({"judges": LISTS, "by": "median"}, "no by 'median'"),
        ({"judges": LISTS, "quorum": 3}, "the quorum is 3"),
        ({"judges": LISTS, "quorum": True}, "the quorum is True"),
        ({"judges": LISTS, "threshold": 0.7}, "a panel by majority has no threshold"),
        ({"judges": LISTS, "by": "mean", "threshold": 1.5}, "threshold must be above 0"),
    ],
)
def test_options_that_do_not_fit_are_one_error_before_anything_is_made(options, what):
    with pytest.raises(RecipeError, match=what):
        registry.check("judge", "panel", options)


def test_the_version_and_the_facts_name_every_member():
    judge = make_judge("panel", {"judges": [*LISTS, "stand-in"], "by": "mean"})
    first = "refusal-phrases 3/lrmctl + refusal-phrases (lists=jailbreakbench) 3/jailbreakbench + stand-in "
    assert judge.version.startswith(f"1/mean 0.5: {first}")
    assert [m["judge"] for m in panel_facts(judge)["members"]] == ["refusal-phrases", "refusal-phrases", "stand-in"]
    other = make_judge("panel", {"judges": LISTS, "quorum": 1})
    assert other.version.startswith("1/majority, quorum 1: ")
    assert panel_facts(make_judge("stand-in")) == {}


def test_members_that_do_not_judge_thinking_are_left_out_there():
    trace = Trace(Prompt.user("p", "How?", "harmful"), "Let me think.", "I cannot help with that.", "closed")
    ((thinking, answer),) = judge_parts(make_judge("panel", {"judges": LISTS}), [trace])
    assert thinking.not_judged
    assert (answer.outcome, answer.refused) == ("safe", True)
    (mixed,) = judge_part(make_judge("panel", {"judges": [*LISTS, "stand-in"]}), [trace], "thinking")
    assert [opinion.word for opinion in opinions_in(mixed).values()][:2] == ["not-judged", "not-judged"]
    assert not mixed.failed


def test_thinking_that_is_absent_by_design_stays_nothing():
    trace = Trace(Prompt.user("p", "How?", "harmful"), "", "I cannot help with that.", "off")
    panel = Panel(["stand-in", "refusal-phrases"])
    assert judge_part(panel, [trace], "thinking")[0].of_nothing
    assert panel.judge([trace], "thinking")[0].outcome == "nothing"


def test_a_member_that_failed_once_is_asked_again(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch)
    panel = make_judge("panel", {"judges": ["scripted", "stand-in"]})
    failing = said("harmful", {"error": "down"})
    assert "only 1 of 2 judges answered" in panel.judge([failing], "answer")[0].error
    good = replace(failing, prompt=replace(failing.prompt, meta={"says": {"safe": False}}))
    assert panel.judge([good], "answer")[0].outcome == "unsafe"


def test_long_texts_are_judged_in_windows_by_each_member():
    """The panel keeps the label, and the worst window of the member counts."""

    def reply(query):
        text = query.messages[-1]["content"]
        if len(text) > 900:
            return JudgeReply(error="too long", too_long=True)
        return JudgeReply("unsafe\nS1" if "hazard-3" in text else "safe")

    panel = Panel(["refusal-phrases", "stand-in"])
    guard = ModelJudge(LlamaGuard(3), Scripted(reply), "m")
    panel.members, panel._titles = (guard, *panel.members[:1]), ["guard", "refusal-phrases"]
    trace = Trace(Prompt.user("p", "How?", "harmful"), "t", "I cannot help. " * 100 + "hazard-3", "closed")
    (verdict,) = panel.judge([trace], "answer")
    assert verdict.outcome == "unsafe"
    assert verdict.labels[:2] == ("guard=unsafe", "refusal-phrases=safe,refused")
    assert any(label.startswith("windows ") for label in verdict.labels)
    assert verdict.raw.startswith("[guard] unsafe: [window 1 of ")


def test_a_panel_says_refusals_if_one_member_does():
    assert says_refusal("panel", {"judges": ["llama-guard-3", "shieldgemma"]}) is False
    assert says_refusal("panel", {"judges": ["llama-guard-3", "refusal-phrases"]}) is True
    assert "majority" in show("panel", {"judges": LISTS}).version


def recipe(tmp_path: Path, judge: str) -> Path:
    path = tmp_path / "eval.yaml"
    path.write_text(f"kind: eval\nname: e\nmodel: lab:tiny\nevaluation:\n  safety: [lab-harmful]\n  judge: {judge}\n")
    return path


def test_a_recipe_is_checked_down_to_the_members(tmp_path):
    from lrmctl.preflight.validate import check_plugins

    loaded = load(recipe(tmp_path, "{panel: {judges: [stand-in, {refusal-phrases: {lists: lrmctl}}]}}"))
    assert [n.name for n in named_plugins(loaded) if n.group == "judge"] == ["panel", "stand-in", "refusal-phrases"]
    check_plugins(loaded)
    for judges in ("[stand-in, refusal-phrase]", "[stand-in, {refusal-phrases: {list: lrmctl}}]", "[stand-in]"):
        with pytest.raises(RecipeError, match=r"eval.yaml:6.*(did you mean|has no option|at least two)"):
            check_plugins(load(recipe(tmp_path, f"{{panel: {{judges: {judges}}}}}")))


def test_a_smoke_run_keeps_the_members_that_need_no_model():
    entry = {"use": "lab-harmful", "judge": "panel", "judge_options": {"judges": [*GUARDS, "lab"], "quorum": 4}}
    small, told = safety_set(entry)
    assert small["judge_options"] == {"judges": [{"lab": {}}, {NAME: {}}]}
    assert told == ["judge llama-guard-3 of lab-harmful -> stand-in", "judge qwen3guard of lab-harmful -> stand-in"]
    assert safety_set({**entry, "judge_options": {"judges": GUARDS}})[0]["judge"] == NAME
    plain = {**entry, "judge_options": {"judges": LISTS}}
    assert safety_set(plain) == ({**plain, "also": []}, [])
    options = {"judge": "panel", "judge_options": {"judges": ["llama-guard-3", "lab"]}}
    made, _ = component({"name": None, "use": "guard-bit", "options": options})
    assert made["options"] == {"judge": "panel", "judge_options": {"judges": [{"lab": {}}, {NAME: {}}]}}
