"""Schema of a study's base models: a reference, or a model of the lab that the study pretrains first."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lrmctl.recipe.schema.sections import BY_NAME, MisplacedError, Name, Section

DEFAULT_BASE = "lab:tiny"
Architecture = Literal["llama", "qwen3"]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


class Pretraining(Section):
    """A model of the lab that the study pretrains first, in about three minutes on one core."""

    architecture: Architecture = "llama"
    """Of the network: `llama` or `qwen3`."""
    seed: Seed = 0
    """Of the corpus and of pretraining; 0 with `llama` is `lab:tiny`."""


class StudyBase(Section):
    """One of a study's base models; just the model if nothing else is said."""

    other_forms = BY_NAME

    model: str = ""
    """`lab:tiny`, a local folder, a hub id, or `run:NAME`."""
    pretrain: Pretraining | None = None
    """Instead of `model:`, a model of the lab made for this study."""
    name: Name | None = None
    """Name of its folder and in the report; by default the last part of the model's name."""
    set: dict[str, Any] = {}
    """Overrides of every arm's recipe on this base, applied last, e.g. `{layout.gpus: 4}`."""
    evaluation: dict[str, Any] = {}
    """Overrides of the study's evaluation on this base, e.g. `{template_args: {enable_thinking: true}}`."""

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("pretrain") is not None and "model" not in given:
            return {**given, "model": DEFAULT_BASE}
        return {"model": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _one_model(self) -> StudyBase:
        if not self.model:
            raise ValueError("say `model:`, or `pretrain:` for a model of the lab")
        if self.pretrain is not None and self.model != DEFAULT_BASE:
            raise MisplacedError("say exactly one of `model:` and `pretrain:`", ("model",))
        return self

    @model_validator(mode="after")
    def _no_identity(self) -> StudyBase:
        for key, instead in (("model", "say it in `model:`"), ("seed", "say `seeds:` of the study")):
            if key in self.set:
                raise MisplacedError(f"a base does not set its arms' {key}; {instead}", ("set", key))
        return self

    @property
    def folder(self) -> str:
        """The name, or the one made from the model."""
        if self.name is None and self.pretrain is not None:
            return f"{self.pretrain.architecture}-{self.pretrain.seed}"
        return self.name or _name_of(self.model)


def _name_of(model: str) -> str:
    """A folder name from a model reference: `Qwen/Qwen3-8B` -> `Qwen3-8B`, `lab:tiny` -> `lab-tiny`."""
    last = model.rstrip("/").rpartition("/")[2]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", last).strip("-._")[:64].strip("-._") or "model"
