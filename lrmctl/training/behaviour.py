"""Log-probabilities of the policy that wrote the rows of an SFT run, for importance weights (`data.loss_weights`)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lrmctl.backends.weight_runs import VALUES, encoded, of_logprob
from lrmctl.errors import RecipeError
from lrmctl.recipe.schema.recipes import SftRecipe

if TYPE_CHECKING:
    from lrmctl.backends.rows import TrainingRows

_KEY = "data.loss_weights.importance.behaviour"


def needs_behaviour(recipe: object, rows: TrainingRows | None) -> bool:
    """Whether the rows of a run lack log-probabilities that its loss needs."""
    if not isinstance(recipe, SftRecipe) or recipe.data.loss_weights.importance is None:
        return False
    return rows is not None and not any(VALUES in row for row in rows.rows)


def with_behaviour(recipe: SftRecipe, rows: TrainingRows, tokenizer: Any) -> TrainingRows:
    """The rows with the log-probability of each token of their responses under the policy that wrote them.

    Args:
        tokenizer: of the model in training.

    Raises:
        RecipeError: the two models split the rows into different tokens.
        LrmctlError: the policy cannot be found or loaded.
    """
    from lrmctl.engines.hf.engine import HfEngine
    from lrmctl.models import load_tokenizer, resolve_model
    from lrmctl.runs.names import runs_folder

    how = recipe.data.loss_weights.importance
    assert how is not None
    path = resolve_model(how.behaviour, runs_folder(), trust_remote_code=recipe.trust_remote_code)
    pairs = [_ids(tokenizer, row) for row in rows.rows]
    theirs = load_tokenizer(path)
    for i, row in enumerate(rows.rows):
        if _ids(theirs, row) != pairs[i]:
            what = (
                f"{how.behaviour} splits row {i + 1} into other tokens than {recipe.model}, so weights would be noise"
            )
            raise RecipeError(what, _KEY, "give a policy with the tokenizer of the model in training")
    found: list[dict[str, Any]] = [{} for _ in pairs]
    for batch in HfEngine(path).token_statistics(pairs):
        for i, statistics in batch:
            found[i] = encoded([of_logprob(float(one)) for one in statistics.logprob])
    return replace(rows, rows=tuple({**row, **columns} for row, columns in zip(rows.rows, found, strict=True)))


def _ids(tokenizer: Any, row: Any) -> tuple[list[int], list[int]]:
    """Token ids of prompt and response, split as the trainer does: after as many tokens as the prompt alone has."""
    prompt = tokenizer(row["prompt"], add_special_tokens=False)["input_ids"]
    whole = tokenizer(row["prompt"] + row["response"], add_special_tokens=False)["input_ids"]
    return whole[: len(prompt)], whole[len(prompt) :]
