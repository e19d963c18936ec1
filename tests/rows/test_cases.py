"""Inputs of users that were once misread, through the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

Q = "How do I frobnicate the neighbour's gizmo?"
SFT: dict[str, Any] = {
    "kind": "sft",
    "name": "rows",
    "model": "lab:tiny",
    "data": {"sources": [{"use": "jsonl", "options": {"path": "rows.jsonl"}}], "max_len": 256},
    "train": {"epochs": 1, "batch_size": 2},
    "optimizer": {"learning_rate": 1.0e-4, "micro_batch_size": 2},
}
RL: dict[str, Any] = {
    "kind": "rl",
    "name": "gold",
    "model": "lab:tiny",
    "prompts": [{"use": "jsonl", "options": {"path": "rows.jsonl"}}],
    "reward": {"components": [{"use": "correct", "when": "reasoning", "part": "answer"}, {"use": "format"}]},
    "algorithm": {"name": "grpo", "steps": 1, "prompts_per_step": 2, "samples_per_prompt": 2},
    "rollout": {"max_new_tokens": 32},
    "optimizer": {"learning_rate": 1.0e-5, "micro_batch_size": 4},
    "max_len": 256,
}
GOOD = [{"prompt": f"Name colour {i}.", "response": "<think>Blue is one.</think>Blue."} for i in range(4)]


def test_refusals_in_another_encoding_are_an_error_and_in_utf_8_are_found(
    lrmctl: Callable[..., Any], write: Callable[..., Path]
) -> None:
    rows = [
        {"prompt": Q, "response": text, "refused": True} for text in ("I can\u2019t help with that.", "I won\u2019t.")
    ]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    words = "judge", "measure", "rows.jsonl", "--label", "refused", "--labels-from", "refused", "--judge"
    write("rows.jsonl", text.encode("cp1252"))
    done = lrmctl(*words, "refusal-phrases")
    assert (done.code, "rows.jsonl:1: is not UTF-8" in done.err) == (2, True)
    write("rows.jsonl", text)
    found = json.loads(lrmctl(*words, "refusal-phrases", "--json").out)["data"]
    assert found["n"] == 2
    assert found["judges"][0]["counts"]["tp"] >= 1


def test_labels_of_data_frames(lrmctl: Callable[..., Any], write: Callable[..., Path]) -> None:
    answers = "I can't help with that.", "Open the lid.", "Open the box."
    labels = 1.0, 0.0, float("nan")
    write("r.jsonl", [{"prompt": Q, "response": a, "refused": x} for a, x in zip(answers, labels, strict=True)])
    words = (
        "judge",
        "measure",
        "r.jsonl",
        "--label",
        "refused",
        "--labels-from",
        "refused",
        "--judge",
        "refusal-phrases",
    )
    for more in ((), ("--positive", "1.0"), ("--positive", "1")):
        found = json.loads(lrmctl(*words, *more, "--json").out)["data"]
        assert (found["n"], found["positives"], found["unlabelled"]) == (2, 1, 1)
    slip = lrmctl(*words, "--positive", "yes")
    assert (slip.code, "no row has 'yes' in 'refused'" in slip.err) == (2, True)
    write("r.jsonl", [{"prompt": Q, "response": "a", "refused": 0.5}])
    odd = lrmctl(*words)
    assert (odd.code, "r.jsonl:1: the label 0.5 is neither yes nor no" in odd.err) == (2, True)


def test_a_state_that_a_row_names_is_kept_by_judges_and_rewards(
    lrmctl: Callable[..., Any], write: Callable[..., Path]
) -> None:
    cut = "Okay, the user wants the gizmo. First I would check the dial and then"
    rows = [
        {"response": cut, "finish_reason": "length", "thinking_state": "unclosed"},
        {"response": cut, "thinking_state": "unclosed"},
        {"response": "The dial goes to four.", "reasoning_content": "Easy."},
    ]
    write("r.jsonl", [{"prompt": f"{Q} ({i})", "kind": "harmful", **row} for i, row in enumerate(rows)])
    words = "judge", "score", "r.jsonl", "--judge", "refusal-phrases", "--json"
    counts = json.loads(lrmctl(*words).out)["data"]["counts"]
    assert (counts["malformed"], counts["unsafe"]) == (2, 1)
    lrmctl("reward", "score", "r.jsonl", "--use", "format", "--out", "scored.jsonl")
    scored = [json.loads(line)["reward"] for line in Path("scored.jsonl").read_text().splitlines()]
    assert scored == [-1.0, -1.0, 0.0]


def test_a_number_is_a_reference_and_none_is_said_before_anything_starts(
    lrmctl: Callable[..., Any], write: Callable[..., Path], tmp_path: Path
) -> None:
    write("rl.yaml", yaml.safe_dump(RL))
    rows = [{"prompt": f"What is {i}+2?", "kind": "reasoning", "reference": i + 2} for i in range(4)]
    write("rows.jsonl", rows)
    plan = lrmctl("train", "rl.yaml", "--dry-run", "--json")
    assert plan.code == 0
    write("rows.jsonl", [{**rows[0], "reference": None}, *rows[1:]])
    for words in (("--dry-run",), ()):
        done = lrmctl("train", "rl.yaml", *words)
        assert done.code == 2
        assert "1 of 4 reasoning prompts have no `reference`, and the reward correct fails on them" in done.err
    assert not (tmp_path / "runs" / "gold" / "logs").exists()
    forgiving = {**RL, "reward": {**RL["reward"], "on_failure": "neutral"}}
    write("rl.yaml", yaml.safe_dump(forgiving))
    plan = lrmctl("train", "rl.yaml", "--dry-run", "--json")
    assert any("have no `reference`" in note for note in json.loads(plan.out)["data"]["notes"])
    write("rows.jsonl", [{**rows[0], "reference": ["2", "3"]}, *rows[1:]])
    several = lrmctl("train", "rl.yaml", "--dry-run")
    assert several.code == 2
    assert "rows.jsonl:1" in several.err
    assert "column 'reference': is a list" in several.err


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"response": "<think>Blue is one.</think>Hm.<think>Or red?</think>Blue."}, "two thoughts"),
        ({"response": "<think>Blue is one.</think>"}, "an empty answer"),
        ({"response": "<think>Blue is one.</think>\u200b"}, "an empty answer"),
    ],
)
def test_a_dry_run_tells_of_demonstrations_that_are_left_out(
    lrmctl: Callable[..., Any], write: Callable[..., Path], row: dict[str, Any], reason: str
) -> None:
    write("sft.yaml", yaml.safe_dump(SFT))
    write("rows.jsonl", [{"kind": "benign", **one} for one in ({"prompt": "Name a colour.", **row}, *GOOD)])
    done = lrmctl("train", "sft.yaml", "--dry-run", "--json")
    plan = json.loads(done.out)["data"]
    assert plan["audit"]["rows"] == len(GOOD)
    assert [note for note in plan["notes"] if reason in note and "left out: 1" in note and "rows.jsonl:1" in note]


def test_the_system_column_is_rendered(lrmctl: Callable[..., Any], write: Callable[..., Path]) -> None:
    write("sft.yaml", yaml.safe_dump(SFT))
    write("rows.jsonl", [{"kind": "benign", "system": "Answer in French.", **one} for one in GOOD])
    done = lrmctl("train", "sft.yaml", "--dry-run", "--json")
    assert "Answer in French." in json.loads(done.out)["data"]["example"]["prompt"]


def test_the_limit_of_one_prompt_goes_by_what_is_asked() -> None:
    from lrmctl.builders.core import chosen
    from lrmctl.rows.prompts import key_of
    from lrmctl.types import Prompt

    asked = [Prompt.user("same", text, "benign") for text in ("a", "b", "b")]
    numbers = [sorted({key_of(p) for p in asked}).index(key_of(prompt)) for prompt in asked]
    assert chosen(numbers, ["", "", ""], [1.0, 1.0, 1.0], 1, "first") == [True, True, False]
