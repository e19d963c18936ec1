"""The parts of a build that need no model: choosing, faults, schema, what is drawn, what is planned."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrmctl.builders.base import fault_of
from lrmctl.builders.core import chosen
from lrmctl.builders.kinds import make_builder, verdict_of
from lrmctl.builders.plan import plan_build
from lrmctl.errors import LrmctlError, NotFoundError, RecipeError
from lrmctl.recipe.load import LoadedRecipe
from lrmctl.recipe.schema.build import THINKSAFE
from lrmctl.recipe.schema.recipes import DataRecipe
from lrmctl.types import Prompt, Trace

Written = Callable[..., LoadedRecipe]
JUDGED = {"judges": ["lab"]}
BACK = {"use": "backtrack", "thoughts": "t", "tokens": 1, "share": 0.5}
PROMPT = Prompt.user("a", "What?", "harmful")


def test_the_best_of_a_prompt_are_kept_and_of_equal_ones_the_first() -> None:
    prompts, dropped, rewards = [0, 0, 0, 1], ["", "", "bad", ""], [1.0, 2.0, 9.0, 0.0]
    assert chosen(prompts, dropped, rewards, 1, "best") == [False, True, False, True]
    assert chosen(prompts, dropped, rewards, 1, "first") == [True, False, False, True]
    assert chosen(prompts, dropped, rewards, None, "best") == [True, True, False, True]
    assert chosen([0, 0], ["", ""], [1.0, 1.0], 1, "best") == [True, False]


@pytest.mark.parametrize(
    ("trace", "fault"),
    [
        (Trace(PROMPT, "t", "a", "closed"), ""),
        (Trace(PROMPT, "", "a", "off"), ""),
        (Trace(PROMPT, "t", "a", "closed", finish_reason="length"), "cut at max_new_tokens"),
        (Trace(PROMPT, "t", "", "unclosed"), "thinking unclosed"),
        (Trace(PROMPT, "", "a", "absent"), "thinking absent"),
        (Trace(PROMPT, " ", "a", "closed"), "an empty thought"),
        (Trace(PROMPT, "t", " ", "closed"), "an empty answer"),
        (Trace(PROMPT, "", " ", "off"), "an empty answer"),
    ],
)
def test_what_is_no_demonstration_says_why(trace: Trace, fault: str) -> None:
    assert fault_of(trace) == fault


@pytest.mark.parametrize(
    ("critique", "said"),
    [
        ("It breaks rule 2.\nVerdict: unsafe", False),
        ("Fine.\n\n**Verdict: Safe**\n", True),
        ("Verdict: safe\nbut I am not sure", None),
        ("It is unsafe.", None),
        ("", None),
    ],
)
def test_the_verdict_of_a_critique_is_its_last_line(critique: str, said: bool | None) -> None:
    assert verdict_of(critique) is said


@pytest.mark.parametrize(
    ("sections", "where", "said"),
    [
        ({"build": {"use": "select"}}, "keep", "needs a judge or a reward"),
        ({"build": {"use": "select"}, "keep": JUDGED, "prompts": []}, "prompts", "needs prompts"),
        ({"build": {"use": "correct", "of": "a.jsonl"}, "keep": JUDGED}, "prompts", "takes its prompts from"),
        ({"build": {"use": "select"}, "keep": {**JUDGED, "order": "best"}}, "keep.order", "highest reward"),
        (
            {"build": {"use": "pass-rate"}, "keep": {**JUDGED, "max_per_prompt": 1}},
            "keep.max_per_prompt",
            "every sample",
        ),
        ({"build": {"use": "pass-rate", "above": 0.5, "below": 0.5}, "keep": JUDGED}, "build", "no rate is above"),
        ({"build": {"use": "distill"}}, "build", "exactly one of"),
        ({"build": {"use": "refuze"}, "keep": JUDGED}, "build", "refuze"),
        ({"build": {"use": "critique", "of": "a", "text": "x"}, "prompts": []}, "keep", "one of the two"),
        (
            {"build": BACK, "keep": JUDGED},
            "build",
            "not both",
        ),
        (
            {"build": {"use": "select"}, "keep": {"judges": [{"judge": "lab", "sayz": "safe"}]}},
            "sayz",
            "not known here",
        ),
    ],
)
def test_what_has_no_effect_or_is_missing_is_refused(
    written: Written, sections: dict[str, Any], where: str, said: str
) -> None:
    with pytest.raises(RecipeError, match=said) as caught:
        written(**sections)
    assert where in str(caught.value)


def test_an_unknown_judge_is_told_with_its_line(written: Written, tmp_path: Path) -> None:
    loaded = written(build={"use": "select"}, keep={"judges": ["lap"]})
    with pytest.raises(RecipeError, match=r"recipe.yaml:\d+: keep.judges.0.judge: there is no judge called 'lap'"):
        plan_build(loaded, runs_dir=tmp_path)


def drawn(loaded: LoadedRecipe) -> list[Any]:
    recipe = loaded.recipe
    assert isinstance(recipe, DataRecipe)
    return make_builder(recipe).tasks()


def rows(file: Path, *given: dict[str, Any]) -> str:
    file.write_text("".join(json.dumps(row) + "\n" for row in given))
    return str(file)


def test_a_policy_is_in_what_is_asked_and_not_in_the_row(written: Written, tmp_path: Path) -> None:
    path = rows(
        tmp_path / "p.jsonl",
        {"prompt": "a?", "kind": "harmful", "category": ["x", "y"]},
        {"prompt": "b?", "kind": "benign", "category": "x"},
        {"prompt": "c?", "kind": "harmful", "category": "z", "system": "Be kind."},
    )
    prompts = [{"use": "jsonl", "options": {"path": path}}]
    (tmp_path / "policy.txt").write_text("Do no harm.\n")
    texts = {"x": "Rule x.", "y": "Rule y."}
    build = {"use": "distill", "by_category": texts, "place": "user", "when": "harmful"}
    a, b, c = drawn(written(prompts=prompts, build=build))
    assert [t.asked.messages[-1]["content"] for t in (a, b, c)] == ["Rule x.\n\nRule y.\n\na?", "b?", "c?"]
    assert [t.prompt.text for t in (a, b, c)] == ["a?", "b?", "c?"]
    a, b, c = drawn(written(prompts=prompts, build={"use": "distill", "file": "policy.txt"}))
    assert [m["content"] for m in a.asked.messages] == ["Do no harm.", "a?"]
    assert [m["content"] for m in c.asked.messages] == ["Do no harm.\n\nBe kind.", "c?"]
    assert [m["content"] for m in c.prompt.messages] == ["Be kind.", "c?"]


def test_the_instruction_of_thinksafe_is_the_default(written: Written) -> None:
    tasks = drawn(written(build={"use": "refuse"}, keep=JUDGED))
    for task in tasks:
        asked = task.asked.messages[-1]["content"]
        assert asked == (THINKSAFE if task.prompt.kind == "harmful" else "") + task.prompt.text


def test_a_missing_file_or_run_is_one_error(written: Written, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LRMCTL_RUNS_HERE", str(tmp_path))
    for of in ("run:nothing", "nothing.jsonl"):
        with pytest.raises(NotFoundError, match="there are no completions of"):
            drawn(written(build={"use": "correct", "of": of}, keep=JUDGED, prompts=[]))
    with pytest.raises(LrmctlError, match="the text cannot be read"):
        drawn(written(build={"use": "distill", "file": "nothing.txt"}))
    loaded = written(prompts=["run:nothing"], build={"use": "select"}, keep=JUDGED)
    with pytest.raises(NotFoundError, match="there is no data build 'nothing'"):
        plan_build(loaded, runs_dir=tmp_path)
    assert plan_build(loaded, runs_dir=tmp_path, allow_missing=True).plan.missing


def test_the_plan_counts_completions_and_judge_calls(written: Written, tmp_path: Path) -> None:
    keep = {
        "judges": [{"judge": "lab", "when": "harmful"}],
        "reward": {"components": [{"use": "judged-complied", "when": "benign", "options": {"judge": "lab"}}]},
    }
    plan = plan_build(written(build={"use": "select"}, keep=keep), runs_dir=tmp_path).plan
    assert plan.prompts == {"harmful": 4, "benign": 2, "reasoning": 2}
    assert plan.completions == 32
    assert plan.judge_calls == {"lab": 4 * 4 * 2, "judged-complied": 2 * 4 * 2}
    assert not (tmp_path / "lab-built").exists()
