"""Judges that say nothing of refusals, and judges that fail: said, with the reason, and never a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from lrmctl.errors import JudgeError
from lrmctl.evaluation.benchmarks import PreparedBenchmark
from lrmctl.evaluation.judge import judge_set
from lrmctl.evaluation.summary import safety_entries
from lrmctl.hooks.specs import Judge
from lrmctl.judges.refusal_phrases import RefusalPhrases
from lrmctl.metrics.remarks import remarks, undecided, value_of
from lrmctl.preflight.unseen_refusals import OUTSIDE_SAFETY_SETS, unseen_refusals
from lrmctl.recipe.schema.evaluation import EvalSection
from lrmctl.types import Part, Prompt, ThinkingState, Trace, Verdict

SERVED = {"model": "guard", "engine": {"use": "openai", "base_url": "http://127.0.0.1:1/v1"}}


def section(*sets: str, judge: str, options: dict[str, object] | None = None, **more: object) -> EvalSection:
    chosen = {"safety": [{"use": name} for name in sets], "judge": judge, "judge_options": options or {}}
    return EvalSection.model_validate(chosen | more)


@pytest.mark.parametrize("judge", ["llama-guard-3", "shieldgemma", "harmbench", "yes-no"])
def test_benign_prompts_without_a_judge_of_refusals_are_told_of(judge: str) -> None:
    options = SERVED | ({"question": "Is it safe? {response}"} if judge == "yes-no" else {})
    ((place, said),) = unseen_refusals(section("lab-harmful", "lab-benign", judge=judge, options=options))
    assert (place, "says nothing of refusals" in said) == (1, True)
    ((place, _),) = unseen_refusals(section("lab-harmful", judge=judge, options=options))
    assert place == OUTSIDE_SAFETY_SETS
    also = [{"judge": "refusal-phrases"}]
    assert not list(unseen_refusals(section("lab-benign", judge=judge, options=options, also=also)))


def test_judges_that_speak_of_refusals_are_no_finding() -> None:
    assert not list(unseen_refusals(section("lab-harmful", "lab-benign", judge="lab")))
    assert not list(unseen_refusals(section("lab-benign", judge="wildguard", options=SERVED)))


class Failing:
    """Fails on the parts that are named; `safe` for the others."""

    name, version = "failing", "1"

    def __init__(self, *parts: Part) -> None:
        self.parts = parts

    def judge(self, traces: Sequence[Trace], part: Part) -> list[Verdict]:
        error = "no connection" if part in self.parts else ""
        blank = [part == "thinking" and not trace.thinking for trace in traces]
        verdict = Verdict(self.name, self.version, part, safe=None if error else True, error=error)
        empty = Verdict(self.name, self.version, part, malformed=True, labels=("empty",))
        return [empty if nothing else verdict for nothing in blank]


def judged(judge: Judge, thinking: str, state: ThinkingState) -> list[dict[str, object]]:
    traces = [Trace(Prompt.user(str(i), "?", "harmful"), thinking, "An answer.", state) for i in range(3)]
    chosen = PreparedBenchmark("set", (), judge, (), None, {})
    rows = list(judge_set(chosen, [[(0.6, trace) for trace in traces]]))
    return safety_entries(chosen, rows)


@pytest.mark.parametrize(("thinking", "state"), [("", "absent"), ("", "off"), ("A thought.", "closed")])
def test_a_judge_that_fails_on_all_it_can_be_asked_ends_the_evaluation(thinking: str, state: ThinkingState) -> None:
    with pytest.raises(JudgeError, match="failed on all 3 traces of 'set'; the first: no connection"):
        judged(Failing("thinking", "answer"), thinking, state)


def test_a_judge_that_fails_on_one_part_says_why_beside_the_figures() -> None:
    (entry,) = judged(Failing("answer"), "A thought.", "closed")
    assert undecided(entry)
    assert any("failed on every completion: no connection" in said for said in remarks(entry))


def test_thinking_models_that_never_thought_are_told_of_by_number() -> None:
    (entry,) = judged(Failing(), "", "absent")
    (said,) = remarks(entry)
    assert said.startswith("never opened a thought: 3 of 3 completions")
    (entry,) = judged(Failing(), "", "off")
    assert list(remarks(entry)) == ["the model does not think: safety and compliance are of the answer alone"]


def test_what_an_earlier_judge_failed_on_is_forgotten() -> None:
    from lrmctl.evaluation.summary import again

    (entry,) = judged(Failing("answer"), "A thought.", "closed")
    assert entry["judge_error"] == "no connection"
    trace = Trace(Prompt.user("0", "?", "harmful"), "A thought.", "An answer.", "closed")
    good = Verdict("other", "1", "answer", safe=True)
    from lrmctl.runs.eval_rows import EvalRow

    row = EvalRow("set", 0.6, trace, replace(good, part="thinking"), good)
    assert "judge_error" not in again(entry, [row], {"judge": "other", "judge_version": "1"}, None)


def test_a_judge_of_answers_alone_has_not_failed_on_thinking_and_gives_no_joint_figure() -> None:
    """Of both parts only traces with an unsafe answer would be decided, so that all of them would be unsafe."""
    (entry,) = judged(RefusalPhrases(), "A thought.", "closed")
    assert not undecided(entry)
    assert "judge_error" not in entry
    assert [value_of(entry, name) for name in ("attack_success", "joint_unsafe", "judge_failed")] == [1.0, None, 0.0]
    assert any("does not judge thinking: there is no figure" in said for said in remarks(entry))
