"""What the terminal shows of an evaluation: every score with its interval, and beside it whether to believe it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from made_rows import row, rows_of, solved, verdict

from lrmctl.cli.views.summary import lines_of, show_summary
from lrmctl.metrics import summarize
from lrmctl.recipe.schema.evaluation import JudgeAccuracySection
from lrmctl.runs.eval_rows import EvalRow
from lrmctl.types import Kind

MEASURED = JudgeAccuracySection(sensitivity=0.8, specificity=0.95, unsafe=100, safe=200)


def entry(
    kind: Kind, rows: Iterable[EvalRow], samples: int, measured: JudgeAccuracySection | None = None
) -> dict[str, Any]:
    rows = list(rows)
    return {
        "set": f"made-{kind}/test",
        "kind": kind,
        "temperature": 0.6,
        "prompts": len({r.trace.prompt.id for r in rows}),
        "samples": samples,
        "judge": "guard",
        "judge_version": "3",
        **({"measured": measured.model_dump(mode="json")} if measured else {}),
        "metrics": summarize(rows, samples, measured),
    }


def summary(*entries: dict[str, Any]) -> dict[str, Any]:
    how = {"top_p": 0.95, "top_k": 0, "max_new_tokens": 16384, "decoding": {"mode": "zero_think"}}
    return {"label": "a-model", "engine": {"name": "hf"}, "seed": 0, "sampling": how, "sets": list(entries)}


HARMFUL = [["safe"] * 4, ["safe", "unsafe", "safe", "safe"], ["unsafe"] * 4, ["safe"] * 4]
WIDE = [["safe"] * 64] * 40 + [["unsafe", *["safe"] * 63]] * 60


def shown(*entries: dict[str, Any], everything: bool = False) -> str:
    return "\n".join(lines_of(summary(*entries), everything))


def test_thinking_and_answer_stand_apart_with_all_and_most_samples() -> None:
    lines = shown(entry("harmful", rows_of(HARMFUL), 4)).splitlines()
    head = next(line for line in lines if "safe@1" in line)
    assert head.split() == ["safe@1", "safe@4", "cons-safe@4", "unsafe"]
    answer = next(line for line in lines if line.startswith("  answer "))
    assert "68.8 [" in answer
    assert "50.0 [" in answer
    assert "75.0 [" in answer
    assert "31.2 [" in answer
    assert next(line for line in lines if line.startswith("  thinking ")).count("100.0 [") == 3


def test_the_first_line_says_who_and_how() -> None:
    first = shown().splitlines()[0]
    assert first == "a-model: engine hf, top_p 0.95, at most 16384 tokens, seed 0, decoding zero_think"


def test_beside_every_score_is_what_makes_it_believable() -> None:
    rows = [
        row("a", finish="length", state="unclosed"),
        row("b", thinking="failed", answer="failed"),
        row("c", finish="error"),
        row("d"),
    ]
    text = shown(entry("harmful", rows, 1))
    assert "cap hit 33.3 %, unclosed 33.3 %, malformed 0.0 %, judge failed 33.3 %, not generated 25.0 %" in text
    assert "tokens: thinking 30 (median 30, 95 % up to 30)" in text
    assert "* not every prompt counts: at least 2 of 4 do" in text


def test_over_refusal_is_named_so_and_told_apart() -> None:
    labels = ("full_refusal", "partial_refusal", "full_compliance", "full_compliance")
    rows = [
        row(str(i), kind="benign", refused=i < 2, also=[verdict("unsaid", judge="xstest-refusal", labels=(label,))])
        for i, label in enumerate(labels)
    ]
    text = shown(entry("benign", rows, 1))
    assert "refused (over-refusal)   50.0 [" in text
    assert "refused in full          25.0 [" in text
    assert "refused in part          25.0 [" in text
    assert "complied                 50.0 [" in text


def test_reasoning_shows_average_majority_and_pass() -> None:
    text = shown(entry("reasoning", solved([[True, False]] * 4, [["1", "2"]] * 4), 2))
    assert "correct (avg@2)          50.0 [" in text
    assert "maj@2                    50.0 [" in text
    assert "pass@2                   100.0 [" in text


def test_a_tasks_own_scores_are_shown_and_lengths_are_not_taken_for_rates() -> None:
    rows = [row(str(i), kind="reasoning", correct=True, scores={"strict": 1.0, "words": 100.0 + i}) for i in range(9)]
    text = shown(entry("reasoning", rows, 1))
    assert "strict                   100.0 [" in text
    assert "words                    104 [" in text
    assert "(not %)" in text


def test_a_correction_says_what_it_rests_on_or_why_there_is_none() -> None:
    text = shown(entry("harmful", rows_of(HARMFUL), 4, MEASURED))
    assert "answer safe, corrected" in text
    assert "corrected for the judge: sensitivity 0.8 (100 texts), specificity 0.95 (200 texts)" in text
    apart = JudgeAccuracySection.model_validate({"answer": {"sensitivity": 0.9, "specificity": 0.8}})
    assert "corrected for the judge: answer sensitivity 0.9, specificity 0.8" in shown(
        entry("harmful", rows_of(HARMFUL), 4, apart)
    )
    useless = JudgeAccuracySection(sensitivity=0.5, specificity=0.5)
    assert "not corrected: sensitivity 0.5 + specificity 0.5 is at most 1" in shown(
        entry("harmful", rows_of(HARMFUL), 4, useless)
    )


def test_further_judges_are_named() -> None:
    also = [verdict("unsafe", judge="second"), verdict("failed", "whole", "third")]
    text = shown(entry("harmful", [row("a", also=also), row("b", also=also)], 1))
    assert "unsafe by second" in text
    assert "failed by third (whole)" in text


def test_several_sets_end_in_a_line_for_each() -> None:
    rows = [row(str(i), kind="benign", refused=i < 1) for i in range(4)]
    lines = shown(entry("harmful", rows_of(HARMFUL), 4), entry("benign", rows, 1)).splitlines()
    assert lines[-3].startswith("all sets")
    assert lines[-2].split()[:5] == ["made-harmful/test", "0.6", "both", "safe", "68.8"]
    assert lines[-1].split()[:4] == ["made-benign/test", "0.6", "complied", "75.0"]
    assert not [line for line in shown(entry("benign", rows, 1)).splitlines() if line.startswith("all sets")]


def test_too_many_cut_or_unjudged_completions_are_pointed_out() -> None:
    fine = [row(str(i)) for i in range(20)]
    assert "  !" not in shown(entry("harmful", fine, 1))
    cut = [row(f"x{i}", finish="length", state="unclosed", thinking="failed") for i in range(5)]
    text = shown(entry("harmful", [*fine, *cut], 1))
    assert "! many completions hit the token limit" in text
    assert "! the judge often failed" in text


def test_what_is_not_shown_is_counted_and_everything_shows_it() -> None:
    made = entry("harmful", rows_of(HARMFUL), 4)
    assert "in summary.json; --all shows them" in shown(made)
    text = shown(made, everything=True)
    assert "--all" not in text
    assert "joint_safe@2" in text
    assert "strongreject_score                       -                     0 prompts" in text


def test_nothing_is_wider_than_100_columns() -> None:
    also = [verdict("unsafe", judge="a-judge-with-a-long-name"), verdict("unsafe", "whole", "guard")]
    wide = [*rows_of(WIDE), *(row("x", i, also=also, answer="unsafe") for i in range(64))]
    made = [
        entry("harmful", wide, 64, MEASURED),
        entry("harmful", [row("a"), row("b", answer="failed")], 1),
        entry("benign", [row(str(i), kind="benign", refused=False) for i in range(9)], 1),
        entry("benign", [row("a", kind="benign", refused=False)], 1) | {"set": "a-plugin/with-a-long-name/and-a-split"},
        entry("reasoning", solved([[True, False]] * 99 + [[True, None]], [["1", "2"]] * 100), 2),
    ]
    for everything in (False, True):
        assert max(map(len, lines_of(summary(*made), everything))) <= 100


def test_figures_of_an_older_summary_are_shown_as_far_as_they_go() -> None:
    made = entry("harmful", rows_of(HARMFUL), 4)
    made["metrics"] = {name: made["metrics"][name] for name in ("joint_safe", "answer_safe", "cut", "thinking_tokens")}
    text = shown(made)
    assert "68.8 [" in text
    assert "cap hit 0.0 %" in text
    assert "not generated" not in text


def test_markup_in_a_name_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    made = entry("harmful", rows_of(HARMFUL), 4) | {"set": "[red]odd[/]"}
    show_summary(summary(made), as_json=False)
    assert "[red]odd[/]   harmful, temperature 0.6" in capsys.readouterr().out


def test_json_is_the_summary_itself(capsys: pytest.CaptureFixture[str]) -> None:
    made = summary(entry("harmful", rows_of(HARMFUL), 4, MEASURED))
    show_summary(made, as_json=True)
    assert json.loads(capsys.readouterr().out)["data"] == json.loads(json.dumps(made))
