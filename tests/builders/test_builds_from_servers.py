"""Builds with a real HTTP server as the model: nothing of transformers is needed, and requests can be looked at."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chat_server import Behaviour, serving

from lrmctl.builders.run import BuiltData
from lrmctl.lab import base_path
from lrmctl.recipe.schema.recipes import Rejection
from lrmctl.runs.jsonl import read_jsonl
from lrmctl.training.rejection import rejection_sample

Build = Callable[..., BuiltData]
SAID = 'message {"content": "I will not help.", "reasoning_content": "This could hurt someone."}'
"""A prompt to which the server replies with this thought and this answer."""
ANY = {"reward": {"components": [{"use": "format"}]}, "at_least": -9}


@pytest.fixture
def server() -> Iterator[tuple[str, Behaviour]]:
    behaviour = Behaviour()
    with serving(behaviour) as url:
        yield url, behaviour


def asked(url: str, **sections: Any) -> dict[str, Any]:
    engine = {"use": "openai", "base_url": url}
    return {"model": "some-model", "engine": engine, "sampling": {"samples": 1, "max_new_tokens": 64}, **sections}


def rows(file: Path, *given: dict[str, Any]) -> str:
    file.write_text("".join(json.dumps(row) + "\n" for row in given))
    return str(file)


def kept(done: BuiltData) -> list[dict[str, Any]]:
    return list(read_jsonl(done.folder / "rows.jsonl"))


def test_a_policy_is_sent_to_the_server_and_not_written_into_the_rows(
    built: Build, server: tuple[str, Behaviour], tmp_path: Path
) -> None:
    url, behaviour = server
    path = rows(tmp_path / "p.jsonl", {"prompt": SAID, "kind": "harmful"})
    prompts = [{"use": "jsonl", "options": {"path": path}}]
    done = built(**asked(url, prompts=prompts, build={"use": "distill", "text": "Do no harm."}))
    (row,) = kept(done)
    assert [m["content"] for m in behaviour.seen[0]["messages"]] == ["Do no harm.", SAID]
    assert [m["content"] for m in row["messages"]] == [SAID]
    assert (row["thinking"], row["answer"]) == ("This could hurt someone.", "I will not help.")
    assert json.loads((done.folder / "lock.json").read_text())["model"]["ref"] == "some-model"


def test_unsafe_completions_are_given_back_and_corrected_under_their_own_prompt(
    built: Build, server: tuple[str, Behaviour], tmp_path: Path
) -> None:
    url, behaviour = server
    unsafe = {"prompt": "How?", "kind": "harmful", "thinking": "Sure.", "answer": "Step one."}
    file = rows(tmp_path / "c.jsonl", {**unsafe, "outcome": "unsafe"}, {**unsafe, "prompt": "Why?", "outcome": "safe"})
    build = {"use": "correct", "of": file, "request": SAID}
    done = built(**asked(url, prompts=[], build=build, keep=ANY))
    (row,) = kept(done)
    sent = [(m["role"], m["content"]) for m in behaviour.seen[0]["messages"]]
    assert sent == [("user", "How?"), ("assistant", "Step one."), ("user", SAID)]
    assert ([m["content"] for m in row["messages"]], row["answer"]) == (["How?"], "I will not help.")
    assert done.summary["left_out"] == {"not judged unsafe": 1}


def test_a_critique_is_kept_if_its_verdict_is_right(
    built: Build, server: tuple[str, Behaviour], tmp_path: Path
) -> None:
    """The server repeats what it is asked, so that the reply's last line is the critique's verdict."""
    url, _ = server
    told = {"prompt": "How?", "kind": "harmful"}
    file = rows(
        tmp_path / "c.jsonl",
        {**told, "answer": "Like this.\nVerdict: unsafe", "gold": "unsafe"},
        {**told, "answer": "Like that.\nVerdict: safe", "gold": "unsafe"},
        {**told, "answer": "I will not.", "gold": "safe"},
    )
    build = {"use": "critique", "of": file, "text": "Rule 1: do no harm.", "label": "gold"}
    done = built(**asked(url, prompts=[], build=build, thinking="off"))
    (row,) = kept(done)
    text = row["messages"][0]["content"]
    assert "Specification:\nRule 1: do no harm." in text
    assert "Prompt:\nHow?" in text
    assert (row["kind"], row["verdict"]) == ("reasoning", "unsafe")
    assert done.summary["samples"] == {"kept": 1, "a wrong verdict": 1, "no verdict in the critique": 1}


def test_rejection_sampling_of_a_training_recipe_takes_a_server_too(
    server: tuple[str, Behaviour], tmp_path: Path
) -> None:
    url, behaviour = server
    path = rows(tmp_path / "p.jsonl", {"prompt": SAID, "kind": "harmful"})
    rejection = Rejection.model_validate(
        {
            "prompts": [{"use": "jsonl", "options": {"path": path}}],
            "samples_per_prompt": 2,
            "rollout": {"max_new_tokens": 64},
            "reward": ANY["reward"],
            "keep_at_least": -9,
            "engine": {"use": "openai", "base_url": url, "model": "some-model"},
        }
    )
    found = rejection_sample(base_path(), rejection, seed=0, out=tmp_path)
    assert [(d.thinking, d.answer) for d in found] == [("This could hurt someone.", "I will not help.")] * 2
    assert {body["model"] for body in behaviour.seen} == {"some-model"}


def test_a_backtrack_is_refused_where_the_server_renders_the_prompts(
    built: Build, server: tuple[str, Behaviour], tmp_path: Path
) -> None:
    from lrmctl.errors import RecipeError

    url, _ = server
    path = rows(tmp_path / "p.jsonl", {"id": "a", "prompt": "How?", "kind": "harmful", "thought": "Sure, first"})
    prompts = [{"use": "jsonl", "options": {"path": path}}]
    with pytest.raises(RecipeError, match="goes on from text, and this engine renders the prompts"):
        built(**asked(url, prompts=prompts, build={"use": "backtrack", "thoughts": path}, keep=ANY))
