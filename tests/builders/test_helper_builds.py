"""Builds that a learned helper is for: rewritten demonstrations, annotated prompts, hints that the rows leave out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrmctl.builders.run import BuiltData
from lrmctl.data.sources import load_demonstrations, load_prompts
from lrmctl.errors import RecipeError
from lrmctl.recipe.schema.sections import Mixed
from lrmctl.runs.jsonl import read_jsonl

Build = Callable[..., BuiltData]
SUMS = [{"use": "lab-prompts", "options": {"n": 8, "harmful": 0.0, "benign": 0.0, "reasoning": 1.0}}]
TEACHER = [{"use": "lab-teacher", "options": {"n": 8, "variant": "arithmetic"}}]
CORRECT = {"reward": {"components": [{"use": "correct"}]}}


def test_a_demonstration_is_written_again_by_a_model_that_sees_it(built: Build) -> None:
    done = built(prompts=TEACHER, build={"use": "rewrite", "text": "{prompt} {thinking}"}, keep=CORRECT)
    rows = list(read_jsonl(done.folder / "rows.jsonl"))
    originals = {d.prompt.text: d for d in load_demonstrations([Mixed.model_validate(TEACHER[0])])}
    assert rows
    assert {row["messages"][-1]["content"] for row in rows} <= set(originals)
    assert all(row["rewritten"] and "Policy check" not in row["thinking"] for row in rows)
    assert "about" not in rows[0].get("meta", {})
    assert done.summary["builder"] == "rewrite"


def test_an_answer_becomes_a_column_and_a_later_build_gives_it_as_a_hint(built: Build) -> None:
    text = "{prompt} What does rule 1 say?"
    sampling = {"samples": 1, "max_new_tokens": 112}
    noted = built(name="noted", prompts=SUMS, build={"use": "annotate", "text": text}, sampling=sampling)
    hinted = load_prompts([Mixed.model_validate("run:noted")])
    assert hinted
    assert all(isinstance(p.meta["hint"], str) and p.meta["hint"] for p in hinted)
    assert {p.reference for p in hinted} <= {p.reference for p in load_prompts([Mixed.model_validate(SUMS[0])])}

    build = {"use": "distill", "column": "hint", "place": "user"}
    done = built(name="solved", prompts=["run:noted"], build=build, keep=CORRECT)
    rows = list(read_jsonl(done.folder / "rows.jsonl"))
    assert rows
    assert not any(row["meta"]["hint"] in row["messages"][-1]["content"] for row in rows)
    assert noted.summary["rows"] == len(hinted)
    assert _asked_with_hints(done.folder) == 32


def test_prompts_that_are_never_solved_can_stay(built: Build) -> None:
    keep = {"reward": {"components": [{"use": "correct"}]}}
    done = built(prompts=SUMS, build={"use": "pass-rate", "above": None, "below": 1.0}, keep=keep, name="hard",
                 sampling={"samples": 2, "max_new_tokens": 8})  # fmt: skip
    rates = [row["meta"]["pass_rate"] for row in read_jsonl(done.folder / "rows.jsonl")]
    assert rates == [0.0] * 8  # eight tokens are not enough for any


@pytest.mark.parametrize(
    ("build", "said"),
    [
        ({"use": "annotate", "text": "{prompt} {answer}"}, "have no `{thinking}`"),
        ({"use": "rewrite", "text": "Say it again."}, "shows nothing of a row"),
        ({"use": "distill", "column": "hint", "text": "x"}, "exactly one of"),
    ],
)
def test_what_makes_no_sense_is_refused(built: Build, build: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        built(prompts=SUMS, build=build)


def _asked_with_hints(folder: Path) -> int:
    """How many of the prompts that were drawn end with a problem after a blank line, as hinted ones do."""
    from lrmctl.engines.store import Store

    with Store(folder / "data" / "completions.sqlite") as store:
        return sum("\n\n" in one.prompt for one in store.completions())
