"""The judges of a panel, as its options name them: `judges: [NAME, {NAME: {option: value}}, ...]`.

Makes no judge, so that whoever reads a recipe or a run (its check, its smoke run, its warnings) finds the members.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from lrmctl.errors import RecipeError

PANEL = "panel"
"""The name of the judge."""
_FIX = "write `judges: [NAME, {NAME: {option: value}}]`"


class PanelMember(NamedTuple):
    """One judge of a panel by name, with its options."""

    name: str
    options: Mapping[str, Any]

    @property
    def title(self) -> str:
        """`name`, or `name (option=value, ...)`; without the signs that separate titles elsewhere."""
        said = ", ".join(f"{key}={_short(value)}" for key, value in self.options.items())
        return f"{self.name} ({said})" if said else self.name


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(value.get("use", "...")) if value else "{}"
    return "+".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def panel_members(judges: Any) -> list[PanelMember]:
    """The members of a panel from its option `judges`.

    Raises:
        RecipeError: it is no list of judges, has fewer than two, one of them twice, or another panel.
    """
    if isinstance(judges, str | Mapping) or not isinstance(judges, list | tuple):
        raise RecipeError("a panel needs a list of judges", "judges", _FIX)
    members = [_member(one) for one in judges]
    if len(members) < 2:
        raise RecipeError(f"a panel needs at least two judges, and this one has {len(members)}", "judges", _FIX)
    if any(member.name == PANEL for member in members):
        raise RecipeError("a panel cannot have a panel in it", "judges", "list all judges in one panel")
    if twice := next((m for i, m in enumerate(members) if m in members[:i]), None):
        raise RecipeError(f"the judge {twice.title} is in the panel twice", "judges", "name it once")
    return members


def members_in(name: str, options: Mapping[str, Any] | None) -> list[PanelMember]:
    """The members of a judge that a recipe names: none unless it is a panel with a valid list."""
    if name != PANEL or not isinstance(options, Mapping):
        return []
    try:
        return panel_members(options.get("judges"))
    except RecipeError:  # reported where the panel's own options are checked
        return []


def _member(given: Any) -> PanelMember:
    if isinstance(given, str) and given:
        return PanelMember(given, {})
    if isinstance(given, Mapping) and len(given) == 1:
        ((name, options),) = given.items()
        if isinstance(name, str) and isinstance(options, Mapping | None):
            return PanelMember(name, dict(options or {}))
    raise RecipeError(f"{given!r} is no judge of a panel", "judges", _FIX)
