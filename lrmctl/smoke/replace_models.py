"""Replaces judges and rewards that would load or call a model by the stand-in; all others are kept."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from lrmctl.hooks import registry
from lrmctl.hooks.members import members_in
from lrmctl.smoke.stand_ins import NAME

_SERVED = {"model", "model_name", "encoder", "url", "base_url", "endpoint"}
"""Options that indicate that a plugin loads a model or calls a server."""
_INNER = {"judge": "judge", "helpful": "reward", "reward": "reward"}
"""Options of a reward that name another plugin -> its group."""


def needs_a_model(group: str, name: str) -> bool:
    """Whether a judge or reward loads a model or calls a server, judged by its factory's options."""
    try:
        parameters = inspect.signature(registry.find(group, name).factory).parameters
    except (TypeError, ValueError):  # a C callable has no signature
        return False
    return bool(_SERVED & set(parameters))


def _judge(name: str, options: Mapping[str, Any]) -> tuple[str, dict[str, Any], list[str]]:
    """A judge that loads no model, its options, and the judges that it replaces; a panel keeps its other members."""
    members = members_in(name, options)
    if not members:
        replaced = needs_a_model("judge", name)
        return (NAME, {}, [name]) if replaced else (name, dict(options), [])
    told = [member.name for member in members if needs_a_model("judge", member.name)]
    small = [{m.name: dict(m.options)} for m in members if m.name not in told and m.name != NAME]
    small += [{NAME: {}}] if told or len(small) < len(members) else []
    if not told:
        return name, dict(options), []
    if len(small) < 2:
        return NAME, {}, told
    kept = {key: value for key, value in options.items() if key != "quorum" or value <= len(small)}
    return name, {**kept, "judges": small}, told


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
        if isinstance(inner, str) and group == "judge":
            judge, own, lost = _judge(inner, options.get(f"{option}_options") or {})
            if lost:
                told += [f"judge {one} of {name} -> {NAME}" for one in lost]
                options[option] = judge
                options.pop(f"{option}_options", None)
                options |= {f"{option}_options": own} if own else {}
        elif isinstance(inner, str) and needs_a_model(group, inner):
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
    judge, options, lost = _judge(resolved["judge"], resolved.get("judge_options") or {})
    if lost:
        small |= {"judge": judge, "judge_options": options}
        told += [f"judge {one} of {resolved['use']} -> {NAME}" for one in lost]
    also = []
    for opinion in resolved.get("also") or ():
        judge, options, lost = _judge(opinion["judge"], opinion.get("judge_options") or {})
        also.append({**opinion, "judge": judge, "judge_options": options} if lost else opinion)
        told += [f"further judge {one} of {resolved['use']} -> {NAME}" for one in lost]
    return {**small, "also": also}, told
