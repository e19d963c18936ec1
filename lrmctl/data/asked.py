"""Prompts that ask about the rows of other sources: rewrite this demonstration, split this question.

A helper (a mapper, a decomposer) is trained on such prompts. Each remembers what it asks about, so that a reward can
ask what the helper's text is worth for the original prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lrmctl._util.fill import fill, places
from lrmctl.data.sources import load_demonstrations, load_prompts, provenance
from lrmctl.errors import RecipeError
from lrmctl.hooks.specs import Source
from lrmctl.types import Prompt

if TYPE_CHECKING:
    from lrmctl.recipe.schema.sections import SourceUse

ABOUT = "about"
"""Key of `Prompt.meta` with what a prompt asks about."""
OF_PROMPTS, OF_DEMONSTRATIONS = ("prompt", "reference"), ("thinking", "answer")
PLACES = (*OF_PROMPTS, *OF_DEMONSTRATIONS)
"""Places of a text: the last message, its gold answer, and the thinking and answer of a demonstration."""


@dataclass(frozen=True)
class About:
    """What a prompt asks about: another prompt, and its demonstration if it has one."""

    prompt: Prompt
    thinking: str = ""
    answer: str = ""

    @property
    def demonstrated(self) -> bool:
        """Whether there is a demonstration."""
        return bool(self.thinking or self.answer)

    @classmethod
    def of(cls, prompt: Prompt) -> About:
        """What a prompt asks about; a prompt of any other source is about itself."""
        told = prompt.meta.get(ABOUT)
        if not isinstance(told, Mapping):
            return cls(prompt)
        return cls(Prompt.from_json(told["prompt"]), told.get("thinking", ""), told.get("answer", ""))

    def asked(self, text: str) -> Prompt:
        """The prompt with this text in place of the last message; kind and reference are the original's."""
        values = {
            "prompt": self.prompt.text,
            "reference": self.prompt.reference or "",
            "thinking": self.thinking,
            "answer": self.answer,
        }
        *earlier, last = self.prompt.messages
        told = {"prompt": self.prompt.to_json(), "thinking": self.thinking, "answer": self.answer}
        return replace(
            self.prompt,
            messages=(*earlier, {**last, "content": fill(text, values)}),
            source=f"asked/{self.prompt.source}",
            meta={**self.prompt.meta, ABOUT: told},
        )


def check_text(text: str, where: str) -> None:
    """Refuse a text that shows nothing of the row.

    Raises:
        RecipeError: no place is in it.
    """
    if not places(text, PLACES):
        raise RecipeError("the text shows nothing of a row", where, f"put in {', '.join(f'{{{p}}}' for p in PLACES)}")


def needs_demonstrations(text: str) -> bool:
    """Whether a text shows the thinking or answer of a demonstration."""
    return bool(places(text, OF_DEMONSTRATIONS))


def _sources(of: Any) -> list[SourceUse]:
    from pydantic import ValidationError

    from lrmctl.recipe.schema.sections import SourceUse

    try:
        return [SourceUse.model_validate(one) for one in (of if isinstance(of, (list, tuple)) else [of])]
    except ValidationError as error:
        raise RecipeError(f"names no sources: {error.errors()[0]['msg']}", "options.of", "`of: [NAME]`") from None


class AskedAbout(Source):
    """Prompts that ask about the rows of other sources.

    Args:
        of: the sources, as in a recipe; demonstrations if `text` shows a thinking or answer, prompts otherwise.
        text: what is asked. `{prompt}`, `{reference}`, `{thinking}` and `{answer}` are places for the row's parts;
            other braces stay as they are.
    """

    def __init__(self, of: Sequence[Any] | Any, text: str) -> None:
        check_text(text, "options.text")
        self._uses = _sources(of)
        self._text = text

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> None:
        """Refuse sources that are not there, before anything is read."""
        from lrmctl.hooks import registry

        check_text(str(options["text"]), "options.text")
        for use in _sources(options["of"]):
            registry.check("source", use.use, use.options)

    def prompts(self) -> list[Prompt]:
        return [about.asked(self._text) for about in self._about()]

    def _about(self) -> list[About]:
        if needs_demonstrations(self._text):
            return [About(one.prompt, one.thinking, one.answer) for one in load_demonstrations(self._uses)]
        return [About(prompt) for prompt in load_prompts(self._uses)]

    def provenance(self) -> dict[str, Any]:
        """Origin of the sources that are asked about."""
        return {"of": provenance(self._uses)}
