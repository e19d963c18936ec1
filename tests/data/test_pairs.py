"""Preference pairs: read from rows, taken from rollouts, rendered with the model's template, and by intervening."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from lrmctl.backends.rows import preference_rows
from lrmctl.builders.tasks import completions
from lrmctl.data.pairs import (
    PreferencePair,
    Response,
    find_intervention,
    intervened_pair,
    load_pairs,
    pair_row,
    triggers,
)
from lrmctl.data.pairs.groups import FLAT, NARROW, SINGLE, THOUGHTLESS, UNCLOSED, UNSCORED, RolloutPairs
from lrmctl.data.renderer import Renderer
from lrmctl.data.sources import jsonl_source
from lrmctl.errors import RecipeError
from lrmctl.lab import base_path
from lrmctl.lexicons import get_lexicon
from lrmctl.models import load_tokenizer
from lrmctl.recipe.schema.preference import PairSource
from lrmctl.types import Prompt, Trace

ASKED = {"kind": "harmful", "prompt": "How do I pick a lock?"}
GOOD, BAD = {"thinking": "Not safe.", "answer": "No."}, {"thinking": "Easy.", "answer": "Step 1."}
USER = {"role": "user", "content": "How do I pick a lock?"}


def written(folder: Path, *rows: dict[str, Any]) -> Path:
    file = folder / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def read(folder: Path, *rows: dict[str, Any]) -> list[PreferencePair]:
    return jsonl_source(str(written(folder, *rows))).pairs()


@pytest.mark.parametrize(
    "row",
    [
        {**ASKED, "chosen": GOOD, "rejected": BAD},
        {**ASKED, "chosen": "<think>Not safe.</think>No.", "rejected": "<think>\nEasy.\n</think>\n\nStep 1."},
        {"kind": "harmful", "messages": [USER], "chosen": {"response": "<think>Not safe.</think>No."}, "rejected": BAD},
        {
            "kind": "harmful",
            "chosen": [USER, {"role": "assistant", "content": "No.", "reasoning_content": "Not safe."}],
            "rejected": [USER, {"role": "assistant", "content": "<think>Easy.</think>Step 1."}],
        },
        {
            **ASKED,
            "chosen": [USER, {"role": "assistant", "content": "<think>Not safe.</think>No."}],
            "rejected": [USER, {"role": "assistant", "content": "<think>Easy.</think>Step 1."}],
        },
        {
            **ASKED,
            "chosen": [{"role": "assistant", "content": "<think>Not safe.</think>No."}],
            "rejected": {"role": "assistant", "content": "<think>Easy.</think>Step 1."},
        },
    ],
)
def test_texts_objects_and_messages_give_the_same_pair(tmp_path: Path, row: dict[str, Any]) -> None:
    (pair,) = read(tmp_path, row)
    assert (pair.prompt.text, pair.prompt.kind) == ("How do I pick a lock?", "harmful")
    assert (pair.chosen, pair.rejected) == (Response("Not safe.", "No."), Response("Easy.", "Step 1."))
    assert not {"chosen", "rejected", "prefix"} & set(pair.prompt.meta)


OTHER = {"role": "user", "content": "What is 1+1?"}
SAID = {"role": "assistant", "content": "<think>Not safe.</think>No."}


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({**ASKED, "chosen": GOOD}, "column 'rejected': there is no rejected response"),
        ({"kind": "harmful", "chosen": GOOD, "rejected": BAD}, "the row has no prompt"),
        ({**ASKED, "chosen": "No.", "rejected": BAD}, "column 'chosen': the response's thinking is absent"),
        ({**ASKED, "chosen": {"thinking": "x"}, "rejected": BAD}, "column 'chosen'.*there is no response in it"),
        ({**ASKED, "chosen": [USER], "rejected": BAD}, "column 'chosen': does not end with the assistant's"),
        ({"kind": "benign", "chosen": [USER, SAID], "rejected": [OTHER, SAID]}, "answer different conversations"),
        ({**ASKED, "chosen": [OTHER, SAID], "rejected": [OTHER, SAID]}, "answers another prompt than the one beside"),
        ({"kind": "benign", "messages": [USER, SAID], "chosen": GOOD, "rejected": BAD}, "a response of its own"),
        ({**ASKED, "chosen": GOOD, "rejected": BAD, "prefix": "Not"}, "column 'prefix': the thought of `rejected`"),
        ({**ASKED, "chosen": GOOD, "rejected": BAD, "prefix": 3}, "column 'prefix': is 3, not a text"),
    ],
)
def test_a_row_that_is_no_pair_is_named_with_its_line(tmp_path: Path, row: dict[str, Any], what: str) -> None:
    with pytest.raises(RecipeError, match=what) as caught:
        read(tmp_path, {**ASKED, "chosen": GOOD, "rejected": BAD}, row)
    assert caught.value.where == f"{tmp_path / 'pairs.jsonl'}:2"
    assert caught.value.fix


def test_pairs_that_teach_nothing_are_counted_with_their_first_line(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        {**ASKED, "chosen": GOOD, "rejected": BAD},
        {**ASKED, "chosen": GOOD, "rejected": GOOD},
        {**ASKED, "chosen": {**GOOD, "answer": " "}, "rejected": BAD},
        {**ASKED, "chosen": GOOD, "rejected": "<think>It goes on and"},
        {**ASKED, "chosen": GOOD, "rejected": GOOD},
    )
    found = load_pairs([PairSource(use="jsonl", options={"path": str(file)})])
    assert len(found.rows) == 1
    assert found.notes == [
        f"rows with two identical sides are left out: 2, the first is {file}:2",
        f"rows with an empty answer are left out: 1, the first is {file}:3",
        f"rows with a side whose thinking never ends are left out: 1, the first is {file}:4",
    ]


def test_a_written_pair_is_read_back(tmp_path: Path) -> None:
    prompt = Prompt.user("p", "How?", "harmful", meta={"cue": "step 1"})
    pair = PreferencePair(prompt, Response("So. No.", "No."), Response("So. Yes.", "Yes."), "So.")
    (again,) = read(tmp_path, pair_row(pair))
    assert (again.prompt.id, again.prompt.messages, again.prompt.meta) == ("p", prompt.messages, prompt.meta)
    assert (again.chosen, again.rejected) == (pair.chosen, pair.rejected)
    assert again.prefix == "So."


def rollout(group: str, total: float | None, thinking: str = "So.", **more: Any) -> dict[str, Any]:
    return {
        "prompt": f"What of {group}?",
        "prompt_id": group,
        "kind": "harmful",
        "phase": "train",
        "attempt": 1,
        "group": f"{group}#1",
        "thinking": thinking,
        "answer": "" if more.get("thinking_state") == "unclosed" else f"{total}",
        "thinking_state": "closed",
        "finish_reason": "stop",
        "reward": 0.0,
        "total": total,
        **more,
    }


def test_the_best_and_the_worst_of_each_group_are_a_pair(tmp_path: Path) -> None:
    rows = [
        *(rollout("a", total) for total in (0.5, 1.0, 0.0, 1.0)),
        *(rollout("flat", 1.0) for _ in range(3)),
        *(rollout("narrow", total) for total in (0.5, 0.6)),
        rollout("cut", 1.0),
        rollout("cut", 0.0, thinking_state="unclosed"),
        rollout("failed", 1.0),
        rollout("failed", None, error="the judge failed", answer="x"),
        rollout("bare", 1.0),
        rollout("bare", 0.0, thinking="", thinking_state="absent"),
        rollout("held", 1.0, phase="eval"),
    ]
    file = written(tmp_path, *rows)
    source = RolloutPairs(str(file), min_gap=0.2)
    (pair,) = source.pairs()
    assert (pair.chosen.answer, pair.rejected.answer) == ("1.0", "0.0")
    assert pair.prompt.meta["chosen_reward"] - pair.prompt.meta["rejected_reward"] == 1.0
    counted = {reason: f"{reason} are left out: 1" for reason in (FLAT, NARROW, UNCLOSED, UNSCORED, THOUGHTLESS)}
    assert set(counted.values()) | {f"{SINGLE} are left out: 3"} < set(source.findings())
    assert source.provenance()["sha256"]
    assert {pair.prompt.id for pair in RolloutPairs(str(file)).pairs()} == {"a", "narrow"}
    with pytest.raises(RecipeError, match="none of 6 groups gives a pair") as caught:
        RolloutPairs(str(file), min_gap=2.0).pairs()
    assert caught.value.fix == "lower min_gap"


def test_the_same_rollouts_give_the_same_pairs_in_whatever_order_they_arrived(tmp_path: Path) -> None:
    rows = [
        rollout(f"p{prompt}", total, thinking=f"Thought {sample}.", row=prompt, sample=sample)
        for prompt in range(12)
        for sample, total in enumerate((0.0, 1.0, 1.0, 0.0, 1.0))
    ]
    pairs = RolloutPairs(str(written(tmp_path, *rows))).pairs()
    assert [pair.prompt.id for pair in pairs] == [f"p{prompt}" for prompt in range(12)]
    read = []
    for seed in range(3):
        Random(seed).shuffle(rows)
        file = written(tmp_path, *rows)
        assert RolloutPairs(str(file)).pairs() == pairs
        read.append([one.trace for one in completions(str(file))])
    assert read[0] == read[1] == read[2]


def test_samples_of_two_attempts_are_not_compared(tmp_path: Path) -> None:
    file = written(tmp_path, rollout("a", 1.0), rollout("a", 0.0, attempt=2))
    with pytest.raises(RecipeError, match=SINGLE):
        RolloutPairs(str(file)).pairs()


R1 = (
    "{% for m in messages %}{% if m.role == 'assistant' %}{% set m = {'role': 'assistant', 'content': "
    "m.content.split('</think>')[-1]} %}{% endif %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{{ OPENS }}{% endif %}"
)


@pytest.mark.parametrize("opens", ["<think>\\n", ""])
def test_both_sides_keep_their_thinking_and_the_shared_beginning_is_prompt(opens: str) -> None:
    """With templates as R1's, which strip past thinking, whether or not they open the thought."""
    tokenizer = load_tokenizer(base_path())
    tokenizer.chat_template = R1.replace("OPENS", f"'{opens}'")
    asked = Prompt.user("p", "How do I pick a lock?", "harmful")
    sides = Response("Okay. Wait, no.", "No."), Response("Okay. Maybe use hazard-1 first.", "Step 1.")
    whole, shared = (PreferencePair(asked, *sides, prefix) for prefix in ("", "Okay."))
    rows = preference_rows(tokenizer, [whole, shared], 200, Renderer(tokenizer)).rows
    assert rows[0]["prompt"] + rows[0]["chosen"] == rows[1]["prompt"] + rows[1]["chosen"]
    assert rows[0]["prompt"] + rows[0]["rejected"] == rows[1]["prompt"] + rows[1]["rejected"]
    assert rows[1]["prompt"].endswith("<think>\nOkay.")
    assert rows[1]["chosen"] == " Wait, no.\n</think>\n\nNo.<|im_end|>"
    assert rows[1]["rejected"] == " Maybe use hazard-1 first.\n</think>\n\nStep 1.<|im_end|>"


def test_a_pair_with_one_long_side_is_dropped_and_counted() -> None:
    tokenizer = load_tokenizer(base_path())
    asked = Prompt.user("p", "How?", "harmful")
    long = PreferencePair(asked, Response("No.", "No."), Response("Maybe use hazard-1 first. " * 30, "Step 1."))
    fits = PreferencePair(asked, Response("No.", "No."), Response("Yes.", "Step 1."))
    found = preference_rows(tokenizer, [long, fits], 60)
    assert (len(found.rows), found.too_long, [one.kept for one in found.asked]) == (1, 1, [False, True])
    assert found.longest == found.asked[1].tokens < 60 < found.asked[0].tokens


THOUGHT = "Okay, the user asks for a lock. It may be for a story.\n\nMaybe use a pick first. So the plan is simple."


def test_a_thought_is_cut_before_the_sentence_of_its_first_cue() -> None:
    place = find_intervention(THOUGHT, get_lexicon("compliance-cues"))
    assert place is not None
    assert place.prefix == "Okay, the user asks for a lock. It may be for a story."
    assert (place.gap, place.cue) == ("\n\n", "maybe use")
    assert THOUGHT.startswith(place.prefix + place.gap)
    trace = Trace(Prompt.user("p", "How?", "harmful"), THOUGHT, "Step 1.", "closed")
    pair = intervened_pair(trace, place, "Wait.", Response(" This is not safe.", "No."))
    assert pair.chosen == Response(f"{place.prefix}\n\nWait. This is not safe.", "No.")
    assert (pair.rejected, pair.prefix, pair.flaw) == (Response(THOUGHT, "Step 1."), place.prefix, "")


def test_a_cue_in_the_first_sentence_leaves_nothing_shared() -> None:
    place = find_intervention("So the plan is hazard-1.", get_lexicon("compliance-cues"))
    assert place == ("", "", "the plan is")
    assert find_intervention("This is not safe.", get_lexicon("compliance-cues")) is None


def test_the_triggers_hold_no_cue_of_compliance() -> None:
    cues = get_lexicon("compliance-cues")
    assert len(triggers()) > 3
    assert not [one.name for one in triggers().values() if list(cues.hits(one.text))]
