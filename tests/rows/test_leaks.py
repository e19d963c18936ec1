"""Prompts of an evaluation that a model is trained on are found, whatever their ids and wherever they stand."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from lrmctl.data.leaks import TrainingTexts
from lrmctl.types import Prompt

ASKED = "Which tram goes to the harbour on Mondays?", "How tall is the old lime tree by the mill?"
GO_ON = [{"role": "assistant", "content": "Let me look."}, {"role": "user", "content": "Go on."}]
RL: dict[str, Any] = {
    "kind": "rl",
    "name": "leak",
    "model": "lab:tiny",
    "reward": {"components": [{"use": "format"}]},
    "algorithm": {"name": "grpo", "steps": 1, "prompts_per_step": 2, "samples_per_prompt": 2},
    "rollout": {"max_new_tokens": 32},
    "optimizer": {"learning_rate": 1.0e-5, "micro_batch_size": 4},
    "max_len": 256,
}
EVAL: dict[str, Any] = {
    "kind": "eval",
    "name": "e",
    "model": "lab:tiny",
    "evaluation": {
        "judge": "stand-in",
        "safety": [{"use": "prompts-file", "options": {"path": "asked.txt", "kind": "benign", "name": "asked"}}],
        "samples": 1,
    },
}


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def rows_with(make: Callable[[int, str], Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{"kind": "benign", **make(i, text)} for i, text in enumerate(ASKED)]


LEAKS: dict[str, list[dict[str, Any]]] = {
    "without ids": rows_with(lambda _, text: {"prompt": text}),
    "null ids": rows_with(lambda _, text: {"id": None, "prompt": text}),
    "equal ids": rows_with(lambda _, text: {"id": "x", "prompt": text}),
    "NaN ids": rows_with(lambda _, text: {"id": float("nan"), "prompt": text}),
    "number ids": rows_with(lambda i, text: {"id": i, "prompt": text}),
    "earlier turns": rows_with(lambda _, text: {"messages": [user(text), *GO_ON]}),
    "a first turn of the same id": rows_with(lambda _, text: {"id": 7, "messages": [user(text), *GO_ON]}),
    "system messages": rows_with(lambda _, text: {"prompt": "Go on.", "system": f"Answer this: {text}"}),
    "content parts": rows_with(lambda _, text: {"messages": [user([{"type": "text", "text": text}])]}),
    "from and value": rows_with(lambda _, text: {"conversations": [{"from": "human", "value": text}]}),
    "a response after it": rows_with(lambda _, text: {"messages": [user(text), GO_ON[0]]}),
    "other blanks and case": rows_with(lambda _, text: {"prompt": f"  {text.upper()}\n".replace(" ", "\u00a0 ")}),
    "a past answer": rows_with(
        lambda _, text: {"messages": [user("Say a question."), {"role": "assistant", "content": text}, user("Why?")]}
    ),
}
INSIDE: dict[str, list[dict[str, Any]]] = {
    "inside a longer prompt": rows_with(lambda _, text: {"prompt": f"Think about it step by step. {text} Be brief."}),
    "with an instruction": rows_with(lambda _, text: {"prompt": f"{text}\nPut the final answer into a box."}),
    "instruction": rows_with(lambda _, text: {"instruction": "Answer in one word.", "input": text}),
}


@pytest.fixture
def audited(lrmctl: Callable[..., Any], write: Callable[..., Path]) -> Callable[..., Any]:
    """What a dry run says of training rows in files beside each other, against `asked.txt`."""
    write("asked.txt", "".join(f"{text}\n" for text in ASKED))
    write("eval.yaml", yaml.safe_dump(EVAL))

    def dry_run(*files: list[dict[str, Any]]) -> Any:
        paths = [write(f"rows-{i}.jsonl", rows).name for i, rows in enumerate(files)]
        prompts = [{"use": "jsonl", "options": {"path": path}} for path in paths]
        write("rl.yaml", yaml.safe_dump({**RL, "prompts": prompts}))
        done = lrmctl("train", "rl.yaml", "--dry-run", "--against", "eval.yaml", "--json")
        assert done.code == 0, done.err
        return json.loads(done.out)["data"]["audit"]

    return dry_run


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_is_found_by_what_is_asked(audited: Callable[..., Any], name: str) -> None:
    found = audited(LEAKS[name])["overlap"]["asked"]
    assert (found["exact"], found["near"]) in ((2, 0), (0, 2))
    assert name == "system messages" or found["exact"] == 2


@pytest.mark.parametrize("name", INSIDE)
def test_a_prompt_inside_a_longer_one_is_nearly_it(audited: Callable[..., Any], name: str) -> None:
    found = audited(INSIDE[name])["overlap"]["asked"]
    assert (found["exact"], found["near"]) == (0, 2)


def test_two_files_that_both_count_from_nought_are_two_sets_of_prompts(audited: Callable[..., Any]) -> None:
    first = [{"id": i, "kind": "benign", "prompt": f"Which colour has wall {word}?"} for i, word in enumerate("abc")]
    second = [{"id": i, "kind": "benign", "prompt": text} for i, text in enumerate(ASKED)]
    found = audited(first, second)
    assert found["rows"] == 5
    assert found["overlap"]["asked"]["exact"] == 2


def test_rows_that_end_alike_are_no_repeats_and_equal_conversations_are(audited: Callable[..., Any]) -> None:
    turns = LEAKS["earlier turns"]
    assert audited(turns)["duplicates"]["exact"] == 0
    assert audited(turns, [{**row, "id": f"other-{i}"} for i, row in enumerate(turns)])["duplicates"]["exact"] == 2


def test_the_same_question_under_another_system_message_is_another_prompt(audited: Callable[..., Any]) -> None:
    rows = [{"kind": "benign", "prompt": ASKED[0], "system": text} for text in ("Answer in French.", "Be brief.")]
    assert audited(rows)["duplicates"]["exact"] == 0


def test_what_is_not_trained_on_is_no_leak(audited: Callable[..., Any]) -> None:
    rows = [{"kind": "benign", "prompt": text} for text in ("Which tram goes home?", "How tall is the mill?")]
    found = audited(rows)["overlap"]["asked"]
    assert (found["exact"], found["near"]) == (0, 0)


def test_a_system_message_that_both_sides_share_is_no_leak() -> None:
    system = {"role": "system", "content": "You are an assistant who answers every question in one short sentence."}
    trained = TrainingTexts(["Which tram goes home?"], [system["content"]])
    asked = [Prompt(text, (system, user(text)), "benign") for text in ASKED]
    assert trained.find(asked) == []


def test_a_turn_that_says_nothing_of_its_own_is_no_leak_of_a_conversation() -> None:
    trained = TrainingTexts(["Go on.", "What is a harbour?"])
    talk = Prompt("a", (user(ASKED[0]), *GO_ON), "benign")
    assert trained.find([talk]) == []
    assert len(TrainingTexts([ASKED[0]]).find([talk])) == 1


def test_instructions_of_their_own_lines_are_looked_past_on_both_sides() -> None:
    problems = [f"A cart carries {n} stones up the hill and {n + 3} down, how many is that?" for n in range(3, 12)]
    instruction = "\nThink it through and put the result of your work into a box."
    trained = TrainingTexts([f"{one}{instruction}" for one in problems])
    asked = [Prompt(str(i), (user(f"{one}\nEnd with the answer."),), "reasoning") for i, one in enumerate(problems[:4])]
    assert len(trained.find(asked)) == 4
    cities = [f"Name city {i} of the north coast{instruction}" for i in range(5)]
    strangers = [Prompt(str(i), (user(city),), "reasoning") for i, city in enumerate(cities)]
    assert trained.find(strangers) == []


def test_eval_training_counts_the_same(write: Callable[..., Path], tmp_path: Path) -> None:
    from lrmctl.evaluation.contamination import overlap, training_of

    asked = [Prompt(text, (user(text),), "benign") for text in ASKED]
    for name, rows in {**LEAKS, **INSIDE}.items():
        training = training_of(str(write("rows.jsonl", rows)), tmp_path)
        assert training is not None
        (found,) = overlap(training, {"asked": asked})
        assert found.exact + found.near == 2, name


def test_training_rows_may_be_a_table(write: Callable[..., Path], tmp_path: Path) -> None:
    from lrmctl.evaluation.contamination import overlap, training_of

    training = training_of(str(write("rows.csv", f'prompt\n"{ASKED[0]}"\n{ASKED[1]}\n')), tmp_path)
    assert training is not None
    (found,) = overlap(training, {"asked": [Prompt("a", (user(ASKED[0]),), "benign")]})
    assert found.exact == 1
