"""A source's prompts as a benchmark."""

from __future__ import annotations

import pytest

from lrmctl.errors import LrmctlError
from lrmctl.hooks import registry


def test_its_prompts_are_those_of_the_source() -> None:
    options = {"n": 12, "harmful": 0.5, "benign": 0.5, "reasoning": 0.0}
    made = registry.make("benchmark", "prompts-of", source="lab-prompts", options=options)
    wanted = registry.make("source", "lab-prompts", **options).prompts()
    assert [prompt.id for prompt in made.load()] == [prompt.id for prompt in wanted]
    assert made.name == "lab-prompts"


def test_an_unknown_source_is_named() -> None:
    with pytest.raises(LrmctlError, match="lab-promts"):
        registry.make("benchmark", "prompts-of", source="lab-promts")
