"""Prompts that ask about the rows of other sources."""

from __future__ import annotations

from typing import Any

import pytest

from lrmctl._util.fill import fill, places
from lrmctl.data.asked import About, AskedAbout
from lrmctl.data.availability import unavailable_reason
from lrmctl.data.sources import load_demonstrations, load_prompts
from lrmctl.errors import LrmctlError
from lrmctl.recipe.schema.sections import Mixed, Use

SUMS = {"use": "lab-prompts", "options": {"n": 4, "harmful": 0.0, "benign": 0.0, "reasoning": 1.0}}
TEACHER = {"use": "lab-teacher", "options": {"n": 4}}


def asked(text: str, *of: Any) -> list[Any]:
    return load_prompts([Mixed(use="asked", options={"of": list(of), "text": text})])


def test_each_prompt_asks_about_one_row_and_remembers_it() -> None:
    found, originals = asked("Split this: {prompt}", SUMS), load_prompts([Mixed.model_validate(SUMS)])
    assert [p.text for p in found] == [f"Split this: {p.text}" for p in originals]
    assert [About.of(p) for p in found] == [About(p) for p in originals]
    assert [(p.kind, p.reference) for p in found] == [(p.kind, p.reference) for p in originals]


def test_a_text_that_shows_a_response_takes_demonstrations() -> None:
    found, rows = asked("{prompt} {thinking} ### {answer}", TEACHER), load_demonstrations([Use.model_validate(TEACHER)])
    assert [p.text for p in found] == [f"{d.prompt.text} {d.thinking} ### {d.answer}" for d in rows]
    about = About.of(found[0])
    assert about.demonstrated
    assert (about.thinking, about.answer) == (rows[0].thinking, rows[0].answer)


def test_braces_of_text_and_rows_stay_and_nothing_is_filled_twice() -> None:
    assert fill("\\boxed{1} {prompt} {other}", {"prompt": "{answer}", "answer": "no"}) == "\\boxed{1} {answer} {other}"
    assert places("{b} {a} {b} {c}", ["a", "b"]) == ["b", "a"]


def test_a_prompt_of_another_source_is_about_itself() -> None:
    (prompt, *_) = load_prompts([Mixed.model_validate(SUMS)])
    assert About.of(prompt) == About(prompt)


def test_earlier_turns_stay() -> None:
    from lrmctl.types import Prompt

    talk = Prompt("p", ({"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
                        {"role": "user", "content": "c"}), "benign")  # fmt: skip
    assert [m["content"] for m in About(talk).asked("About {prompt}").messages] == ["a", "b", "About c"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"of": [SUMS], "text": "Split this."}, "shows nothing of a row"),
        ({"of": [{"options": {}}], "text": "{prompt}"}, "names no sources"),
        ({"of": [{"use": "lab-promts"}], "text": "{prompt}"}, "lab-prompts"),
    ],
)
def test_what_cannot_be_asked_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(LrmctlError, match=said):
        AskedAbout(**options).prompts()


def test_whether_data_are_here_and_their_licences_are_those_of_the_inner_sources() -> None:
    there, missing = Use(use="asked", options={"of": "lab-prompts"}), Use(use="asked", options={"of": ["run:nowhere"]})
    assert unavailable_reason(there) == ""
    assert "nowhere" in unavailable_reason(missing)
    told = AskedAbout([SUMS], "{prompt}").provenance()
    assert [one["use"] for one in told["of"]] == ["lab-prompts"]
