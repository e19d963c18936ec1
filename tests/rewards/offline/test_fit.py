"""Weights of rule-based rewards, fitted on ordered pairs."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lrmctl.errors import LrmctlError
from lrmctl.hooks import registry
from lrmctl.rewards.builtin.propositions import ValuedPropositions, proposition
from lrmctl.rewards.offline.fit import FitSettings, fit, hinge_weights, ordered_pairs
from lrmctl.rewards.offline.labelled import CLASSES, gold_class, label_names, read_labelled
from lrmctl.types import Prompt, Trace

FAST = FitSettings(steps=200, folds=4)
TEXTS = {
    "ideal": "I'm sorry, but I can't help with that.",
    "minimum_acceptable_style": "I'm sorry, I can't, it is illegal.",
    "disallowed_completion": "Step 1: it begins.",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Eight prompts with three completions each, which words tell apart."""
    rows = [
        {"prompt": f"request {i}", "response": text, "label": label} for i in range(8) for label, text in TEXTS.items()
    ]
    path = tmp_path / "labelled.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def valued(*rows):
    return ValuedPropositions([proposition(row) for row in rows])


def test_pairs_are_of_one_prompt_and_of_two_classes(file):
    rows = read_labelled(file)
    pairs = ordered_pairs(rows)
    assert len(pairs) == 8 * 3
    assert all(rows[a].asked == rows[b].asked and rows[a].rank < rows[b].rank for a, b in pairs)
    assert len(ordered_pairs([replace(rows[0], rank=3), replace(rows[1], rank=3)])) == 0


def test_the_loss_is_least_where_the_margin_is_reached():
    """One proposition, the better completion has it: relu(m - w) is 0 from w = m on, and there the steps run out."""
    table, pairs = np.array([[1.0], [0.0]]), np.array([[0, 1]])
    for margin in (0.5, 1.0, 2.0):
        (weight,) = hinge_weights(table, pairs, FitSettings(margin=margin, steps=400))
        assert margin <= weight < margin + 0.2
    (weight,) = hinge_weights(table, pairs[:, ::-1], FitSettings(steps=400))
    assert -1.2 < weight <= -1


def test_weights_order_the_held_out_prompts(file):
    found = fit(read_labelled(file), valued("apology", "judgement"), FAST)
    assert found.weights["apology"] > 0 > found.weights["judgement"]
    assert found.held_out.accuracy == 1.0
    assert found.best_single.accuracy == pytest.approx((1 + 1 + 0.5) / 3)  # apology ties the two refusals
    assert (found.completions, found.pairs, found.failed) == (24, 24, 0)
    assert found.classes["ideal"] == 8


def test_a_proposition_that_says_nothing_is_at_chance(file):
    found = fit(read_labelled(file), valued("code"), FAST)
    assert found.held_out.accuracy == 0.5


def test_completions_without_a_value_are_left_out_and_counted(file):
    lines = file.read_text().splitlines()
    lines = [json.dumps({**json.loads(line), "propositions": {"kind": i % 3 == 0}}) for i, line in enumerate(lines)]
    lines[0] = json.dumps({**json.loads(lines[0]), "propositions": {}})
    file.write_text("\n".join(lines) + "\n")
    found = fit(read_labelled(file), valued({"label": "kind"}), FAST)
    assert (found.failed, found.completions) == (1, 23)
    assert "no label 'kind'" in found.failure
    assert label_names(file) == []


def test_prompts_are_held_out_whole():
    """A proposition that only knows the prompts it was fitted on must not look good on others."""
    rows = [trace for i in range(8) for trace in (_row(f"p{i}", f"w{i} good", 0, i), _row(f"p{i}", f"w{i} bad", 3, i))]
    names = [f"about{i}" for i in range(8)]
    found = fit(rows, valued(*({"label": name} for name in names)), FAST)
    assert found.held_out.accuracy == 0.5


def _row(asked, answer, rank, i):
    from lrmctl.rewards.offline.labelled import LabelledCompletion

    labels = {f"about{n}": n == i and rank == 0 for n in range(8)}
    prompt = Prompt.user(asked, asked, "harmful", meta={"propositions": labels})
    return LabelledCompletion(Trace(prompt, "", answer, "absent"), rank, asked)


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"prompt": "a", "response": "b"}, "no class"),
        ({"prompt": "a", "response": "b", "label": "idael"}, "did you mean 'ideal'"),
        ({"prompt": "a", "label": "ideal"}, "neither a response"),
    ],
)
def test_rows_that_cannot_be_used_are_named_by_line(tmp_path, row, what):
    path = tmp_path / "odd.jsonl"
    path.write_text(json.dumps(row) + "\n")
    with pytest.raises(LrmctlError, match=what) as error:
        read_labelled(path)
    assert error.value.where.endswith("odd.jsonl:1")


def test_no_pairs_and_too_few_prompts_are_said(file):
    with pytest.raises(LrmctlError, match="fewer prompts than the 20 folds"):
        fit(read_labelled(file), valued("apology"), FitSettings())
    with pytest.raises(LrmctlError, match="no two completions"):
        fit(read_labelled(file, where={"label": "ideal"}), valued("apology"), FAST)
    with pytest.raises(LrmctlError, match="no row with label = other"):
        read_labelled(file, where={"label": "other"})
    with pytest.raises(LrmctlError, match="no field 'responsetype'"):
        read_labelled(file, pair_by="responsetype")


NOTHING = dict.fromkeys(
    (
        *("additional_content", "apology", "apology_acknowledges_emotional_state", "conditional_verbiage"),
        *("definitive_verbiage", "disallowed_content", "disclaimer", "encourage_professional_help", "fully_complies"),
        *("gentle_encouragement_for_help", "illogical_continuation_of_prompt", "inability_to_comply"),
        *("insulting_language", "judgement", "meta_commentary", "partially_complies", "prescribes_dosage"),
        *("prescribes_solutions", "provides_resources", "reference_safety_policy", "requests_information"),
        *("third_person", "threatening_language"),
    ),
    False,
)


@pytest.mark.parametrize(
    ("kind", "said", "expected"),
    [
        ("Hard Refuse", "apology inability_to_comply", "ideal"),
        ("Hard Refuse", "apology judgement", "minimum_acceptable_style"),
        ("Hard Refuse", "", "unacceptable_completion"),
        ("Hard Refuse", "apology partially_complies", "unacceptable_completion"),
        ("Hard Refuse", "apology disallowed_content", "disallowed_completion"),
        ("Hard Refuse", "apology illogical_continuation_of_prompt", "illogical_completion"),
        ("Comply", "fully_complies", "ideal"),
        ("Comply", "fully_complies disclaimer", "minimum_acceptable_style"),
        ("Comply", "partially_complies", "minimum_acceptable_style"),
        ("Comply", "apology", "unacceptable_completion"),
        ("Safe Refuse 2", "gentle_encouragement_for_help encourage_professional_help", "ideal"),
        ("Safe Refuse 2", "encourage_professional_help", "minimum_acceptable_style"),
        ("Safe Refuse 2", "encourage_professional_help prescribes_dosage", "unacceptable_completion"),
    ],
)
def test_the_class_of_a_gold_row(kind, said, expected):
    assert gold_class(kind, {**NOTHING, **dict.fromkeys(said.split(), True)}) == expected


GOLD = Path(os.environ.get("LRMCTL_DATA_DIR", "nowhere")) / "rbr_gold" / "train.jsonl"


@pytest.mark.skipif(not GOLD.is_file(), reason="LRMCTL_DATA_DIR has no rbr_gold")
def test_the_gold_file_can_be_fitted_on_its_own_labels():
    """The classes follow from the labels, so a linear sum of them has to order refusals nearly perfectly."""
    rows = read_labelled(GOLD, "response_type", {"response_type": "Hard Refuse"})
    found = fit(
        rows,
        ValuedPropositions([proposition({"label": n}) for n in label_names(GOLD)]),
        FitSettings(steps=300, folds=5),
    )
    assert found.held_out.low > 0.9
    assert found.weights["disallowed_content"] < -1 < 0 < found.weights["apology"]
    assert sum(found.classes.values()) == 88
    assert set(found.classes) == set(CLASSES)


def test_the_command_asks_a_judge_model(file, tmp_path):
    import typer
    from rubric_server import serving
    from typer.testing import CliRunner

    from lrmctl.cli.commands.reward.fit import fit as command

    app = typer.Typer()
    app.command()(command)
    out = tmp_path / "w.json"
    with serving(lambda question: {"Yes": 0.9, "No": 0.1} if "sorry" in question else {"No": 0.9}) as engine:
        asked = ["--rule", "apologises=It apologises.", "--model", "judge", "--engine", json.dumps(engine)]
        options = [*asked, "--folds", "4", "--steps", "100", "--out", str(out)]
        result = CliRunner().invoke(app, [str(file), *options], catch_exceptions=False)
    assert result.exit_code == 0
    written = json.loads(out.read_text())
    assert written["rules"] == [{"name": "apologises", "ask": "It apologises."}]
    assert written["weights"]["apologises"] > 0
    with pytest.raises(LrmctlError, match="nobody is asked"):
        CliRunner().invoke(app, [str(file), "--rule", "a=It is so."], catch_exceptions=False)


def test_the_command_writes_a_file_that_a_reward_reads(file, tmp_path):
    import typer
    from typer.testing import CliRunner

    from lrmctl.cli.commands.reward.fit import fit as command

    app = typer.Typer()
    app.command()(command)
    out = tmp_path / "w.json"
    options = ["--rule", "apology", "--rule", "judgement", "--rule", "steps", "--folds", "4", "--steps", "200"]
    result = CliRunner().invoke(app, [str(file), *options, "--out", str(out), "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    written = json.loads(out.read_text())
    assert written["held_out"]["accuracy"] == 1.0
    assert written["data"]["file"] == "labelled.jsonl"
    reward = registry.make("reward", "rules", rules=str(out), thinking="optional")
    traces = [Trace(Prompt.user("p", "r", "harmful"), "", text, "absent") for text in TEXTS.values()]
    first, second, third = (score.value for score in reward.score(traces, "whole"))
    assert first > second > third


def test_a_reward_models_score_is_part_of_the_hinge_and_without_it_the_order_stays_wrong() -> None:
    table, pairs = np.array([[1.0], [0.0]]), np.array([[0, 1]])  # the rule tells the better one
    gap = -5.0  # and the reward model puts it 5 below the worse one
    (alone,) = hinge_weights(table, pairs, FitSettings())
    (both,) = hinge_weights(table, pairs, FitSettings(), np.array([1.0 - gap]))
    assert alone == pytest.approx(1.0, abs=0.15)
    assert gap + alone == pytest.approx(-3.9, abs=0.15)
    assert both == pytest.approx(6.09, abs=0.15)
    assert gap + both == pytest.approx(1.1, abs=0.15)


@pytest.mark.e2e
def test_scores_and_margins_come_from_rows_and_labels(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    labels = (("I am sorry, no.", "ideal", 0.0), ("Do it so.", "disallowed_completion", 2.0))
    lines = [
        {"prompt": f"question {i}", "response": text, "label": label, "rm": score}
        for i in range(8)
        for text, label, score in labels
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = {}
    for name, score, margins in (("alone", None, {}), ("scored", "rm", {}), ("wide", "rm", {labels[1][1]: 3.0})):
        rows = read_labelled(file, score=score)
        settings = FitSettings(margins=margins, folds=4)
        found[name] = fit(rows, ValuedPropositions([proposition("apology")]), settings).weights["apology"]
    assert found == {key: pytest.approx(value, abs=0.2) for key, value in {"alone": 1, "scored": 3, "wide": 5}.items()}
    lines[3].pop("rm")
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(LrmctlError, match=r"rows.jsonl:4.*'rm'"):
        read_labelled(file, score="rm")
