"""What every backend makes of a job: its rows as files, the prompts of an RL run in order, where a response ends."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from pathlib import Path

from lrmctl.backends.base import TrainJob
from lrmctl.data.mix import repeated_passes
from lrmctl.errors import NotFoundError, RecipeError
from lrmctl.recipe.schema.recipes import RlRecipe
from lrmctl.rewards.service.protocol import numbered


def json_lines(rows: Iterable[Mapping[str, object]]) -> str:
    """Rows as the text of a JSONL file."""
    return "".join(json.dumps(dict(row), ensure_ascii=False) + "\n" for row in rows)


def prompts_in_order(job: TrainJob) -> list[dict[str, str]]:
    """The prompts of an RL job in the order of training: repeated or cut to `steps` x `prompts_per_step` rows.

    Labels are numbered, so that the reward service tells the groups of a prompt that occurs twice apart. Rows without a
    label, which a plan without its data has, stay as they are.
    """
    recipe = job.recipe
    assert isinstance(recipe, RlRecipe)
    wanted = recipe.algorithm.steps * recipe.algorithm.prompts_per_step
    rows = repeated_passes(job.rows, wanted, random.Random(recipe.seed))
    return [{**row, "label": numbered(row["label"], i)} if row["label"] else dict(row) for i, row in enumerate(rows)]


def check_positions(model_path: Path, max_len: int, place: str) -> None:
    """Refuse sequences that are longer than the model's context.

    Args:
        place: key of the recipe that sets `max_len`.

    Raises:
        NotFoundError: if the model has no readable configuration.
        RecipeError: if `max_len` is too large.
    """
    from lrmctl.models import config_folder

    if not model_path.exists():
        return  # a hub id that is planned for but not downloaded; a run downloads it before it gets here
    file = config_folder(model_path) / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NotFoundError(f"the model has no readable configuration: {error}", str(file)) from None
    longest = config.get("max_position_embeddings")
    if isinstance(longest, int) and max_len > longest:
        raise RecipeError(f"{max_len} tokens are more than the model's {longest}", place, f"say at most {longest}")


def end_tokens(model: Path) -> tuple[str, ...]:
    """Texts of the tokens that end a response of a model: the reward service takes one without them for cut off.

    Raises:
        LrmctlError: the model's tokenizer cannot be loaded.
    """
    from lrmctl.models import end_of_text, load_tokenizer

    return end_of_text(load_tokenizer(model), model).all
