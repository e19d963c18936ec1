"""Replaces judges and rewards that would load or call a model by the stand-in; all others are kept."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from lrmctl.hooks import registry
from lrmctl.smoke.stand_ins import NAME

_SERVED = {"model", "model_name", "encoder", "url", "base_url", "endpoint"}
"""Options that indicate that a plugin loads a model or calls a server."""
_INNER = {"judge": "judge", "helpful": "reward"}
"""Options of a reward that name another plugin -> its group."""


def needs_a_model(group: str, name: str) -> bool:
    """Whether a judge or reward loads a model or calls a server, judged by its factory's options."""
    try:
        parameters = inspect.signature(registry.find(group, name).factory).parameters
    except (TypeError, ValueError):  # a C callable has no signature
        return False
    return bool(_SERVED & set(parameters))


def component(resolved: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A reward component without models, and what was replaced. A function in a file is kept, to test that it runs."""
    if resolved["use"] is None:
        return dict(resolved), []
    name = resolved["name"] or resolved["use"]
    if needs_a_model("reward", resolved["use"]):
        return {**resolved, "name": name, "use": NAME, "options": {}}, [f"reward {resolved['use']} -> {NAME}"]
    options, told = dict(resolved["options"]), []
    defaults = _defaults("reward", resolved["use"])
    for option, group in _INNER.items():
        inner = options.get(option, defaults.get(option))
        if isinstance(inner, str) and needs_a_model(group, inner):
            told.append(f"{group} {inner} of {name} -> {NAME}")
            options[option] = NAME
            options.pop(f"{option}_options", None)
    return {**resolved, "options": options}, told


def _defaults(group: str, name: str) -> dict[str, Any]:
    """Default values of the factory's options."""
    try:
        parameters = inspect.signature(registry.find(group, name).factory).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}


def safety_set(resolved: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A benchmark with judges that need no model, and what was replaced."""
    small, told = dict(resolved), []
    if needs_a_model("judge", resolved["judge"]):
        small |= {"judge": NAME, "judge_options": {}}
        told.append(f"judge {resolved['judge']} of {resolved['use']} -> {NAME}")
    also = []
    for opinion in resolved.get("also") or ():
        served = needs_a_model("judge", opinion["judge"])
        also.append({**opinion, "judge": NAME, "judge_options": {}} if served else opinion)
        told += [f"further judge {opinion['judge']} of {resolved['use']} -> {NAME}"] if served else []
    return {**small, "also": also}, told
