"""Schema of weights in the loss of SFT: by part of the response, by row, by token."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lrmctl.recipe.schema.sections import MisplacedError, Positive, Section

Weight = Annotated[float, Field(ge=0)]


class Importance(Section):
    """PEAR's importance weights (arXiv 2602.01058): of the model in training against the policy that wrote the rows."""

    behaviour: str
    """The model that wrote the responses: as `model:`. Its log-probabilities are computed before the training."""
    level: Literal["token", "block", "sequence"] = "token"
    """One weight per token, per block of tokens, or per response."""
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.999
    """Discount per token before the end of the response; not of `sequence`."""
    clip: tuple[float, float] = (-0.08, 0.3)
    """Bounds of a token's log-probability ratio."""
    block: Positive = 4
    """Tokens of a block."""
    log_clip: tuple[float, float] = (-10.0, 5.0)
    """Bounds of the weight's logarithm."""

    @model_validator(mode="after")
    def _bounds(self) -> Importance:
        for name in ("clip", "log_clip"):
            low, high = getattr(self, name)
            if low >= high:
                raise MisplacedError(f"the lower bound {low:g} is not below the upper one {high:g}", (name,))
        return self


class LossWeights(Section):
    """Weights of the tokens in the loss; rows and sources may have `loss_weight` too, and all are multiplied."""

    thinking: Weight = 1.0
    """Of the thinking's tokens, its closing marker included."""
    answer: Weight = 1.0
    """Of the answer's tokens, the end of text included."""
    normalise: Literal["tokens", "weights"] = "tokens"
    """The loss is divided by the number of tokens with a weight, or by the sum of their weights."""
    importance: Importance | None = None
    """Weights that are computed while training."""

    @model_validator(mode="after")
    def _something(self) -> LossWeights:
        if not self.thinking and not self.answer:
            raise ValueError("with both weights 0 nothing is trained")
        if self.importance is not None and (self.thinking, self.answer, self.normalise) != (1.0, 1.0, "tokens"):
            raise MisplacedError("stands alone: leave out `thinking`, `answer` and `normalise`", ("importance",))
        return self

    @property
    def plain(self) -> bool:
        """Whether the section itself changes nothing."""
        return self.thinking == self.answer == 1.0 and self.importance is None
