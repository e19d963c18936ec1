"""Factories of model judges: the options common to all of them, around those of each template.

All take `model` (a local folder, a hub id, `run:NAME`, or a model's name on a server), `engine` (`hf`, `vllm`,
`openai`, or a mapping with `use:` and the engine's own options), `batch_size` and `device`. Making one loads nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, Struct

from lrmctl._util.toml_tables import read_entries

if TYPE_CHECKING:
    from lrmctl.judges.model_judge import ModelJudge
    from lrmctl.judges.templates.base import JudgeTemplate

Engine = str | Mapping[str, Any]


class ModelJudgeFacts(Struct, frozen=True, forbid_unknown_fields=True):
    """One model judge; the fields are described in models.toml."""

    summary: str
    model: str | None = None
    batch_size: Annotated[int, Meta(ge=1)] = 16


def model_judges() -> dict[str, ModelJudgeFacts]:
    """The judges of models.toml by name.

    Raises:
        LrmctlError: an entry that does not match `ModelJudgeFacts`.
    """
    return read_entries(__package__, "models.toml", ModelJudgeFacts)


def model_judge_factory(name: str) -> ModelJudgeFactory:
    """The factory of a judge of models.toml."""
    from lrmctl.judges.builtin import TEMPLATES

    return ModelJudgeFactory(TEMPLATES[name], model_judges()[name])


class ModelJudgeFactory:
    """Makes one judge from a recipe's options.

    Args:
        template: maps the judge's own options to its template.
    """

    def __init__(self, template: Callable[..., JudgeTemplate], facts: ModelJudgeFacts) -> None:
        self._template, self.__doc__ = template, template.__doc__
        model = inspect.Parameter.empty if facts.model is None else facts.model
        own = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in inspect.signature(template).parameters.values()]
        after = [_option("engine", "hf", "Engine"), _option("batch_size", facts.batch_size, "int")]
        self.__signature__ = inspect.Signature(
            [_option("model", model, "str"), *own, *after, _option("device", "auto", "str")]
        )

    def __call__(self, **options: Any) -> ModelJudge:
        bound = self.__signature__.bind(**options)
        bound.apply_defaults()
        own = dict(bound.arguments)
        model, engine, batch_size, device = (own.pop(name) for name in ("model", "engine", "batch_size", "device"))
        return _judge(self._template(**own), model, engine, batch_size, device)


def _option(name: str, default: Any, type: str) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=type)


def _judge(template: JudgeTemplate, model: str, engine: Engine, batch_size: int, device: str) -> ModelJudge:
    """A template on an engine; an engine outside this process is named in the version."""
    from lrmctl.engines.factory import judge_engine
    from lrmctl.judges.model_judge import ModelJudge

    use = engine if isinstance(engine, str) else str(engine.get("use", "hf"))
    label = model if use == "hf" else f"{model} via {use}"
    return ModelJudge(template, judge_engine(model, engine, batch_size=batch_size, device=device), label)
