"""Detects whether a run was rewarded by the judge that evaluates it, whose errors training may have exploited.

Uses only the run's own files, so that every page and table with its numbers can show the warning.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lrmctl.hooks.members import members_in


def same_judge(run: Path, summary: Mapping[str, Any], label: str = "") -> str:
    """The warning to show with the results of an evaluation of this run; empty if the judges differ."""
    safety = [entry for entry in summary.get("sets", ()) if entry.get("kind") != "reasoning"]
    judges = {str(entry["judge"]) for entry in safety if not entry.get("panel")}
    judges |= {str(member["judge"]) for entry in safety for member in (entry.get("panel") or {}).get("members", ())}
    shared = sorted(rewarding_judges(run) & judges)
    if not shared:
        return ""
    return (
        f"{label or run.name}: rewarded by the judge that evaluates ({', '.join(shared)}); "
        "what that judge gets wrong, training may have learned to use"
    )


def rewarding_judges(run: Path) -> set[str]:
    """Names of the judges that rewarded this run, or the runs that its model comes from."""
    found: set[str] = set()
    seen: set[Path] = set()
    while run not in seen:
        seen.add(run)
        recipe = _recipe(run / "lock.json")
        found |= _judges_of(recipe)
        model = str(recipe.get("model", ""))
        run = run.parent / model.removeprefix("run:") if model.startswith("run:") else run
    return found


def _recipe(lock: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(lock.read_text(encoding="utf-8"))["recipe"]
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _judges_of(recipe: Mapping[str, Any]) -> set[str]:
    rejection = (recipe.get("data") or {}).get("rejection") or {}
    reward = recipe.get("reward") or rejection.get("reward") or {}
    return {judge for c in reward.get("components", ()) if c.get("use") for judge in _judges_in(c)}


def _judges_in(component: Mapping[str, Any]) -> set[str]:
    """The judge of a component; for a panel, its members."""
    judge = _judge_of(component)
    members = members_in(judge, (component.get("options") or {}).get("judge_options"))
    return {member.name for member in members} or ({judge} if judge else set())


def _judge_of(component: Mapping[str, Any]) -> str:
    """The judge that the recipe names, else the reward's default; empty if there is none."""
    from lrmctl.errors import LrmctlError
    from lrmctl.hooks import registry

    judge = (component.get("options") or {}).get("judge")
    if isinstance(judge, str):
        return judge
    try:
        parameters = inspect.signature(registry.find("reward", component["use"]).factory).parameters
    except (LrmctlError, TypeError, ValueError):  # a plugin that is no longer installed
        return ""
    default = parameters["judge"].default if "judge" in parameters else None
    return default if isinstance(default, str) else ""
