"""Thoughts that are forced: where they come from, which are taken, and how a recipe names them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lrmctl.engines.decoding.engine import steered
from lrmctl.engines.decoding.partial import first_tokens
from lrmctl.engines.decoding.thoughts import open_thoughts
from lrmctl.engines.hf.engine import HfEngine
from lrmctl.errors import LrmctlError, NotFoundError, RecipeError
from lrmctl.lab import base_path
from lrmctl.models import load_tokenizer
from lrmctl.recipe.load import load_recipe
from lrmctl.recipe.schema.decoding import Budget, MoreThink, Prefix
from lrmctl.types import Prompt

ASKED = [Prompt.user(f"p{i}", f"question {i}", "benign") for i in range(3)]


def written(folder: Path, *rows: dict[str, Any]) -> str:
    file = folder / "thoughts.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def evaluated(prompt: Prompt, thinking: str, safe: bool | None, sample: int) -> dict[str, Any]:
    return {
        "set": "s",
        "trace": {"prompt": prompt.to_json(), "thinking": thinking, "answer": "", "sample": sample},
        "thinking": {"judge": "j", "version": "1", "part": "thinking", "safe": safe},
    }


def test_rows_name_their_prompt_by_id_or_by_text(tmp_path: Path) -> None:
    file = written(tmp_path, {"id": "p0", "thought": "by id"}, {"prompt": "question 1", "thinking": " by text\n"})
    found = open_thoughts(Prefix(thoughts=file))
    assert [found.of(p) for p in ASKED] == ["by id", "by text", None]


def test_of_a_run_the_first_thought_that_fits_is_taken(tmp_path: Path) -> None:
    rows = [
        evaluated(ASKED[0], "third", False, 2),
        evaluated(ASKED[0], "first", True, 0),
        evaluated(ASKED[0], "second", False, 1),
        evaluated(ASKED[1], "not judged", None, 0),
        evaluated(ASKED[2], "", False, 0),
    ]
    file = written(tmp_path, *rows)
    wanted = {"any": ["first", "not judged"], "safe": ["first", None], "unsafe": ["second", None]}
    for only, thoughts in wanted.items():
        found = open_thoughts(Prefix(thoughts=file, only=only))  # type: ignore[arg-type]
        assert [found.of(p) for p in ASKED] == [*thoughts, None]
    assert open_thoughts(Prefix(thoughts=file, sample=2)).of(ASKED[0]) == "third"


def test_prompts_without_a_thought_are_an_error_or_left_out_and_counted(tmp_path: Path) -> None:
    file = written(tmp_path, {"id": "p0", "thought": "a thought"})
    engine = HfEngine(base_path())
    with pytest.raises(RecipeError, match="2 of 3 prompts have no thought, the first is 'p1'"):
        steered(engine, Prefix(thoughts=file)).answerable(ASKED)
    made = steered(engine, Prefix(thoughts=file, missing="skip"))
    assert made.answerable(ASKED) == ASKED[:1]
    assert made.facts()["decoding"]["left_out"] == 2
    assert engine.answerable(ASKED) == ASKED


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([{"thought": "of nobody"}], "lacks 'id'"),
        ([{"id": "p0"}], "lacks 'thinking'"),
        ([evaluated(ASKED[0], "a", True, 0)], "no thought in it that is unsafe"),
    ],
)
def test_files_that_hold_no_thoughts_say_so(tmp_path: Path, rows: list[dict[str, Any]], what: str) -> None:
    with pytest.raises(LrmctlError, match=what):
        open_thoughts(Prefix(thoughts=written(tmp_path, *rows), only="unsafe"))


def test_a_file_that_is_not_there_is_found_out_before_anything_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        steered(HfEngine(base_path()), Prefix(thoughts=str(tmp_path / "nothing.jsonl")))


def test_a_prefix_never_ends_within_a_character() -> None:
    tokenizer = load_tokenizer(base_path())
    ids = tokenizer.encode("so 漢字", add_special_tokens=False)
    texts = [first_tokens(ids, n, tokenizer) for n in range(len(ids) + 1)]
    assert texts[-1] == "so 漢字"
    assert not any("\ufffd" in text for text in texts)
    assert all("so 漢字".startswith(text) for text in texts)


RECIPE = """\
kind: eval
name: modes
model: lab:tiny
evaluation:
  safety: [{use: lab-harmful}]
  decoding: %s
"""


def recipe(folder: Path, words: str) -> Any:
    file = folder / "recipe.yaml"
    file.write_text(RECIPE % words)
    return load_recipe(file).recipe.evaluation.decoding  # type: ignore[union-attr]


def test_a_mode_by_name_is_enough(tmp_path: Path) -> None:
    assert recipe(tmp_path, "more-think") == MoreThink()
    assert recipe(tmp_path, "{mode: budget, tokens: 100}") == Budget(tokens=100)


def test_thoughts_lie_beside_the_recipe(tmp_path: Path) -> None:
    file = written(tmp_path, {"id": "p0", "thought": "a thought"})
    assert recipe(tmp_path, "{mode: prefix, thoughts: thoughts.jsonl}").thoughts == file


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ("budget", "missing"),
        ("{mode: prefix}", "one of `thought` and `thoughts`"),
        ("{mode: prefix, thought: a, tokens: 1, share: 0.5}", "not both"),
        ("{mode: prefix, thought: a, only: safe}", "choose among `thoughts`"),
        ("{mode: prefix, thought: 'a </think> b'}", "think tags are put in by lrmctl"),
        ("{mode: less-think, sentence: a}", "is not known here"),
        ("thoughtless", "zero-think"),
    ],
)
def test_what_a_mode_lacks_is_told_with_its_line(tmp_path: Path, given: str, what: str) -> None:
    with pytest.raises(RecipeError, match=what) as error:
        recipe(tmp_path, given)
    assert "recipe.yaml:6" in str(error.value)
