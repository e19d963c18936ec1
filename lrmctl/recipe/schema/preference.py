"""Recipes that train on pairs of a better and a worse response to the same prompt (DPO, IPO)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lrmctl.recipe.schema.offline import OfflineData, OfflineRecipe, TrainingRecipe
from lrmctl.recipe.schema.sections import (
    MisplacedError,
    PositiveFloat,
    Section,
    SftSource,
    all_weighted_or_none,
    error_at,
)

ROLLOUT_PAIRS = "rollout-pairs"
"""The source that `from: run:NAME` stands for."""


class PairSource(SftSource):
    """A source of preference pairs: a named source, or `{from: run:NAME, min_gap: GAP}` for a run's rollouts."""

    other_forms = (
        *SftSource.other_forms,
        {
            "type": "object",
            "properties": {
                "from": {"type": "string", "description": "A run of RL: `run:NAME`."},
                "min_gap": {"type": "number", "description": "Least difference of the rewards of a pair."},
                **dict.fromkeys(("options", "weight", "template_args", "system", "loss_weight"), True),
            },
            "required": ["from"],
            "additionalProperties": False,
        },
    )

    @model_validator(mode="before")
    @classmethod
    def _of_run(cls, given: Any) -> Any:
        if not isinstance(given, dict) or "from" not in given:
            return given
        if "use" in given:
            raise MisplacedError("say `from: run:NAME` or `use: NAME`, not both", ("from",))
        rest = {key: value for key, value in given.items() if key not in ("from", "min_gap", "options")}
        gap = {"min_gap": given["min_gap"]} if "min_gap" in given else {}
        own = given.get("options") or {}
        return {"use": ROLLOUT_PAIRS, "options": {"run": given["from"], **gap, **own}, **rest}


class PreferenceData(OfflineData):
    """The pairs to train on."""

    sources: Annotated[tuple[PairSource, ...], Field(min_length=1)]
    """Named sources of pairs, or `{from: run:NAME}` for the best and the worst of each group of a run's rollouts."""

    @model_validator(mode="after")
    def _weights(self) -> PreferenceData:
        with error_at("sources"):
            all_weighted_or_none(self.sources)
        return self


class PreferenceTraining(TrainingRecipe):
    """Length of the training, one epoch by default."""

    epochs: Annotated[int, Field(gt=0, le=100_000_000)] = 1


class PreferenceSection(Section):
    """The loss on a pair. The reference model is the model that the run starts from, frozen."""

    loss: Literal["dpo", "ipo"] = "dpo"
    """`dpo`: arXiv 2305.18290; `ipo`: arXiv 2310.12036, on summed log-probabilities, as OpenRLHF has it."""
    beta: PositiveFloat = 0.1
    """dpo: weight of the log-probability ratios; ipo: their difference is pulled towards 1 / (2 beta)."""
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    """dpo: assumed share of pairs whose sides are exchanged."""
    nll_weight: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the mean negative log-likelihood of the chosen response, which is added to the loss."""

    @model_validator(mode="after")
    def _fits(self) -> PreferenceSection:
        if self.loss == "ipo" and self.label_smoothing:
            raise MisplacedError("only dpo has label smoothing; say `loss: dpo`, or leave it out", ("label_smoothing",))
        return self


class PreferenceRecipe(OfflineRecipe):
    """Preference training on pairs of a better and a worse response (DPO, IPO)."""

    kind: Literal["preference"]
    """`preference`: train on pairs."""
    """`preference`: train on pairs."""
    data: PreferenceData
    preference: PreferenceSection = PreferenceSection()
    train: PreferenceTraining = PreferenceTraining()
