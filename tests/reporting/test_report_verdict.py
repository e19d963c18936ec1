"""The wording of the verdict, case by case."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_fixtures import make_arm, make_study

from lrmctl.comparison import Delta, main_deltas
from lrmctl.reporting import build_report
from lrmctl.reporting.verdict import JudgedArm, decide, verdict
from lrmctl.types import Kind

SETS = {"harmful": "strongreject", "benign": "xstest", "reasoning": "math500"}
METRICS = {"harmful": "joint_safe", "benign": "complied", "reasoning": "correct"}


def delta(kind: Kind, a: float, b: float, half: float = 0.04, p: float | None = None, **also: Any) -> Delta:
    """A paired difference whose interval is `half` wide on each side; decided if that leaves out zero."""
    d = b - a
    found = p if p is not None else (0.001 if abs(d) > half else 0.5)
    fields: dict[str, Any] = {
        "prompts": 200, "left_out": 0, "samples": 1, "wins": 0, "losses": 0, "ties": 0, "judge": "j", "p_holm": found,
    }  # fmt: skip
    return Delta(
        SETS[kind], kind, 0.6, METRICS[kind], a=a, b=b, delta=d, low=d - half, high=d + half, p=found,
        **{**fields, **also},
    )  # fmt: skip


def arm(
    label: str, safe: Delta | None = None, benign: Delta | None = None, reasoning: Delta | None = None, **also: Any
) -> JudgedArm:
    found = {d.kind: d for d in (safe, benign, reasoning) if d}
    return JudgedArm(label, also.pop("control", False), found, **also)


SAFER = delta("harmful", 0.4, 0.9)
SAME = delta("benign", 0.95, 0.94)
SOLVES = delta("reasoning", 0.8, 0.79)


def test_base_alone() -> None:
    said = verdict("Base", [])
    assert said.headline == "Only Base was evaluated: there is nothing to compare it with."
    assert (said.arms, said.controls) == ([], [])


def test_one_arm_that_is_safer_at_no_decided_cost() -> None:
    said = verdict("Base", [arm("RL", SAFER, SAME, SOLVES)])
    assert said.headline == "RL is safer than Base, with no decided cost in what was measured."
    assert said.arms[0].sentences == [
        "Safer than Base: thinking and answer are both safe on 90.0 % of harmful prompts against 40.0 % "
        "(+50.0 points, 95 % interval +46.0 to +54.0, n = 200).",
        "Helpfulness does not change decidedly: it complies with 94.0 % of benign prompts against 95.0 % "
        "(\N{MINUS SIGN}1.0 points, \N{MINUS SIGN}5.0 to +3.0, n = 200); "
        "a loss of up to 5.0 points is not ruled out.",
        "Reasoning does not change decidedly: it solves 79.0 % of math500 against 80.0 % "
        "(\N{MINUS SIGN}1.0 points, \N{MINUS SIGN}5.0 to +3.0, n = 200); "
        "a loss of up to 5.0 points is not ruled out.",
    ]


def test_nothing_paired() -> None:
    said = verdict("Base", [arm("RL", reason="the judges differ"), arm("SFT", reason="the prompts differ")])
    assert said.headline == "No arm could be compared with Base prompt by prompt, so nothing is concluded."
    assert said.arms[0].sentences == ["Not compared with Base: the judges differ."]


def test_all_undecided() -> None:
    said = verdict("Base", [arm("A", delta("harmful", 0.4, 0.42, needed=9_000)), arm("B", delta("harmful", 0.4, 0.4))])
    assert said.headline == (
        "The data decide nothing: on 200 harmful prompts no arm differs from Base in safety beyond chance."
    )
    assert said.arms[0].sentences[0] == (
        "Whether it is safer than Base is undecided: thinking and answer are both safe on 42.0 % of harmful prompts "
        "against 40.0 % (+2.0 points, 95 % interval \N{MINUS SIGN}2.0 to +6.0, n = 200). "
        "To detect a difference of this size takes about 9,000 prompts."
    )
    assert "0.0 points" in said.arms[1].sentences[0]


def test_safer_but_less_helpful() -> None:
    said = verdict("Base", [arm("SFT", SAFER, delta("benign", 0.95, 0.1), SOLVES)])
    assert said.headline == "SFT is safer than Base, but helps with fewer benign prompts."
    assert said.arms[0].sentences[1].startswith("It costs helpfulness: it complies with 10.0 % of benign prompts ")


def test_safer_but_reasons_worse_too() -> None:
    said = verdict("Base", [arm("SFT", SAFER, delta("benign", 0.95, 0.1), delta("reasoning", 0.9, 0.5))])
    assert said.headline == "SFT is safer than Base, but helps with fewer benign prompts and reasons worse."
    assert said.arms[0].sentences[2].startswith("It costs reasoning: it solves 50.0 % of math500 ")


def test_arms_with_and_without_cost_stand_apart() -> None:
    arms = [arm("A", SAFER, SAME), arm("B", SAFER, SAME), arm("C", SAFER, delta("benign", 0.9, 0.2))]
    assert verdict("Base", arms).headline == (
        "A and B are safer than Base, with no decided cost in what was measured; "
        "C is also safer than Base, but helps with fewer benign prompts."
    )


def test_less_safe() -> None:
    said = verdict("Base", [arm("A", delta("harmful", 0.8, 0.5)), arm("B", delta("harmful", 0.8, 0.5))])
    assert said.headline == "A and B are less safe than Base."
    assert said.arms[0].sentences[0].startswith("Less safe than Base: ")


def test_what_was_not_measured_is_said() -> None:
    said = verdict("Base", [arm("RL", SAFER)])
    assert said.arms[0].sentences[1:] == ["Helpfulness was not measured.", "Reasoning was not measured."]
    no_safety = verdict("Base", [arm("RL", None, SAME)])
    assert no_safety.headline == "Safety was not measured on prompts that Base shares, so no arm can be called safer."
    assert no_safety.arms[0].sentences[0] == "Its safety was not measured on prompts that Base shares."


def test_gains_are_said_too() -> None:
    said = verdict("Base", [arm("RL", SAFER, delta("benign", 0.8, 0.95), delta("reasoning", 0.5, 0.8))])
    assert said.arms[0].sentences[1].startswith("It helps with more benign prompts: ")
    assert said.arms[0].sentences[2].startswith("It reasons better: ")


def test_names_with_commas_are_quoted_in_lists() -> None:
    said = verdict("Base", [arm("SFT, mixed", SAFER), arm("RL", SAFER)])
    assert said.headline.startswith(
        "\N{LEFT DOUBLE QUOTATION MARK}SFT, mixed\N{RIGHT DOUBLE QUOTATION MARK} and RL are"
    )


def test_a_gain_needs_the_interval_and_the_adjusted_p_a_loss_the_interval_alone() -> None:
    assert decide(delta("harmful", 0.4, 0.5, p=0.09)) == "undecided"
    assert decide(delta("harmful", 0.4, 0.5, p=0.01)) == "better"
    assert decide(delta("harmful", 0.5, 0.4, p=0.01)) == "worse"
    assert decide(delta("harmful", 0.5, 0.4, p=0.09)) == "worse"
    assert decide(delta("harmful", 0.4, 0.5, p=0.03, p_holm=None)) == "better"


def versus(control: str, *over: Delta) -> list[str]:
    arms = [
        arm("RL", SAFER, SAME, SOLVES),
        arm(control, SAFER, control=True, over={"RL": {d.kind: d for d in over}}),
    ]
    return list(verdict("Base", arms).controls)


def test_a_control_that_does_as_well_is_named() -> None:
    (said,) = versus("Rejection sampling", delta("harmful", 0.9, 0.9), SAME, SOLVES)
    assert said == (
        "The control Rejection sampling is as safe as RL as far as the data tell (0.0 points, 95 % interval "
        "\N{MINUS SIGN}4.0 to +4.0, n = 200), and no worse in helpfulness and reasoning: that RL is safer than the "
        "base does not show that its training was needed."
    )


def test_a_control_that_is_as_safe_but_less_helpful() -> None:
    (said,) = versus("Harm only", delta("harmful", 0.9, 0.9), delta("benign", 0.5, 0.95), SOLVES)
    assert "is as safe as RL as far as the data tell" in said
    assert said.endswith("but RL helps with more benign prompts (+45.0 points, 95 % interval +41.0 to +49.0, n = 200).")


def test_a_control_that_is_less_safe_and_one_that_is_safer() -> None:
    (less,) = versus("Control", delta("harmful", 0.5, 0.9))
    assert less == ("RL is safer than the control Control (+40.0 points, 95 % interval +36.0 to +44.0, n = 200).")
    (more,) = versus("Control", delta("harmful", 0.9, 0.7))
    assert more.startswith("The control Control is safer than RL (RL minus control: \N{MINUS SIGN}20.0 points")


def test_a_control_compared_on_safety_alone_proves_nothing_about_costs() -> None:
    (said,) = versus("Control", delta("harmful", 0.9, 0.9), SAME)
    assert said.endswith("; reasoning prompts were not compared.")


def test_controls_without_common_prompts_are_not_compared() -> None:
    assert versus("Control") == []


@pytest.mark.e2e
def test_the_page_begins_with_the_verdict_and_escapes_it(tmp_path: Path) -> None:
    arms = [arm._replace(label=f"<b>{arm.label}") for arm in make_study(tmp_path, n=12, temperatures=(0.6,))]
    page = build_report(arms, tmp_path / "r.html", title="t").read_text()
    section = page.partition('<section id="verdict">')[2].partition("</section>")[0]
    assert "safer than &lt;b&gt;Base" in section
    assert "<b>" not in section
    assert "The control &lt;b&gt;Rejection sampling is as safe as &lt;b&gt;RL (GRPO)" in section
    assert page.index('id="verdict"') < page.index('id="results"')


@pytest.mark.e2e
def test_a_page_of_the_base_alone_concludes_nothing(tmp_path: Path) -> None:
    page = build_report([make_arm(tmp_path, "base", n=4)], tmp_path / "r.html", title="t").read_text()
    assert "Only Base was evaluated: there is nothing to compare it with." in page


def test_where_no_judge_read_the_thinking_the_answers_are_compared_and_it_is_said() -> None:
    """Seen with a judge of refusals: "Safety was not measured", beside two columns of safe answers."""
    answers = [replace(delta("harmful", 0.03, b), metric="answer_safe") for b in (0.85, 0.97)]
    lost = delta("benign", 0.95, 0.02)
    said = verdict("Base", [arm("SFT", answers[0], lost), arm("RL", answers[1], lost)])
    assert said.headline == (
        "SFT and RL are safer than Base, but help with fewer benign prompts. "
        "This is said of answers: thinking was not judged."
    )
    assert said.arms[1].sentences[0] == (
        "Safer than Base in its answers: the answer is safe on 97.0 % of harmful prompts against 3.0 % "
        "(+94.0 points, 95 % interval +90.0 to +98.0, n = 200)."
    )


def test_the_difference_that_stands_for_a_set_is_of_both_parts_where_there_is_one() -> None:
    both, answer = delta("harmful", 0.4, 0.5), replace(delta("harmful", 0.4, 0.9), metric="answer_safe")
    thinking = replace(answer, metric="thinking_safe")
    assert main_deltas([thinking, answer, both]) == [both]
    assert main_deltas([thinking, answer]) == [answer]
    assert main_deltas([thinking]) == []
    assert main_deltas([answer, replace(both, set="harmbench")]) == [answer, replace(both, set="harmbench")]
