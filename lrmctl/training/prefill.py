"""Chooses the RL prompts that begin with a given thought, and the text of each. Reads files; renders nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from lrmctl.engines.decoding.thoughts import ForcedThoughts, beginning, open_thoughts
from lrmctl.errors import RecipeError
from lrmctl.recipe.schema.prefill import Prefill
from lrmctl.recipe.schema.recipes import RlRecipe
from lrmctl.rewards.service.protocol import GivenThought
from lrmctl.types import Prompt


def given_thoughts(
    recipe: RlRecipe, prompts: Sequence[Prompt], tokenizer: Any
) -> tuple[dict[int, GivenThought], list[str]]:
    """The thoughts that a recipe's prompts begin with.

    Which prompts these are depends on the recipe's seed and the prompts alone.

    Args:
        tokenizer: the policy's, which cuts the thoughts to `tokens`.

    Returns:
        By index of the prompt; and a sentence on each entry of `prefill`.

    Raises:
        RecipeError: fewer prompts have a thought than the recipe asks for.
        LrmctlError: the thoughts cannot be read.
    """
    chosen: dict[int, GivenThought] = {}
    notes = []
    for i, entry in enumerate(recipe.prefill):
        asked = [n for n, prompt in enumerate(prompts) if prompt.kind in entry.kinds]
        text_of = _texts(entry, tokenizer)
        texts = {n: text for n in asked if n not in chosen and (text := text_of(prompts[n]))}
        wanted = round(entry.prompts * len(asked))
        taken = sorted(Random(f"{recipe.seed}/prefill/{i}").sample(sorted(texts), min(wanted, len(texts))))
        chosen |= {n: GivenThought(texts[n], entry.rewarded) for n in taken}
        kinds = " and ".join(entry.kinds)
        if len(taken) < wanted and entry.missing == "error":
            what = (
                f"{wanted} of {len(asked)} {kinds} prompts are to begin with a given thought, and {len(taken)} have one"
            )
            fix = "give more thoughts, lower `prompts`, or say `missing: skip`"
            raise RecipeError(what, f"prefill.{i}", fix)
        notes.append(f"{len(taken)} of {len(asked)} {kinds} prompts begin with a given thought")
    return chosen, notes


def _texts(entry: Prefill, tokenizer: Any) -> Callable[[Prompt], str]:
    """The beginning of a prompt's thought; empty if it has none."""
    how = entry.decoding
    known = open_thoughts(how) if entry.source is None else _of_source(entry)

    def text_of(prompt: Prompt) -> str:
        thought = known.of(prompt)
        return beginning(thought, how, tokenizer) if thought else ""

    return text_of


def _of_source(entry: Prefill) -> ForcedThoughts:
    from lrmctl.data.sources import load_demonstrations

    assert entry.source is not None
    rows = load_demonstrations([entry.source])
    return ForcedThoughts(by_text={row.prompt.text: row.thinking.strip() for row in rows})
