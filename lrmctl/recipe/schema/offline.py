"""What recipes that train on fixed rows share: SFT on demonstrations and preference training on pairs."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from lrmctl.recipe.schema.sections import (
    MOST_ROWS,
    BackendSection,
    Launch,
    Layout,
    Optimizer,
    Positive,
    RecipeHeader,
    Section,
    Share,
)
from lrmctl.recipe.schema.thinking import ThinkingOption


class OfflineData(Section):
    """What every section of training rows has."""

    rows: Annotated[int, Field(gt=0, le=MOST_ROWS)] | None = None
    """Rows per epoch if sources have weights; by default as many as the sources have together."""
    eval_rows: Share = 0.0
    """Share of rows held out; their loss is logged every `train.eval_every` steps."""
    max_len: Positive = 8192
    """Tokens of prompt + response; longer rows are dropped and counted."""


class TrainingRecipe(Section):
    """Length of the training."""

    epochs: Positive = 3
    """Passes over the rows."""
    batch_size: Positive = 16
    """Rows (sequences, or pairs of them) per optimizer step."""
    eval_every: Positive | None = None
    """Steps between evaluations of the loss on held-out rows (`data.eval_rows`); after each epoch by default."""


class OfflineRecipe(RecipeHeader):
    """Base of recipes that train on fixed rows; `kind` and `data` are those of the subclass."""

    kind: Any
    """Kind of recipe."""
    model: str
    """`lab:tiny`, a local folder, a hub id, `run:NAME`, or `BASE+ADAPTER`."""
    trust_remote_code: bool = False
    """Run the Python code in the model's folder, here and in the trainer. Read that code first."""
    template_args: dict[str, Any] = {}
    """Keyword arguments of the chat template, e.g. `{enable_thinking: true}`; a source may add its own."""
    system: str = ""
    """A system message before prompts that have none; a source may have its own."""
    thinking: ThinkingOption = None
    """The model's thinking format: a name, two markers, or `off` for rows without thinking."""
    data: OfflineData
    train: TrainingRecipe = TrainingRecipe()
    optimizer: Optimizer = Optimizer()
    save_every: Positive | None = None
    """Steps between checkpoints that `--resume` can start from; none by default."""
    layout: Layout = Layout()
    launch: Launch = Launch()
    backend: BackendSection = BackendSection()
