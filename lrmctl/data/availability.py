"""Checks which data sets are on this machine and need no download. Only checks whether files exist."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lrmctl.data.catalog import CATALOG
from lrmctl.data.fetch import FOLDER, local_file
from lrmctl.data.pairs.groups import rollout_file
from lrmctl.errors import LrmctlError
from lrmctl.models.availability import hub_snapshot
from lrmctl.recipe.schema.preference import ROLLOUT_PAIRS
from lrmctl.recipe.schema.sections import SourceUse

if TYPE_CHECKING:
    from lrmctl.recipe.schema.sections import Use


def unavailable_reason(use: Use) -> str:
    """Why a data source must be downloaded first; empty if it is on this machine or generates its rows."""
    if use.options.get("path"):
        return ""
    if use.options.get("of"):  # a source derived from others
        inner = use.options["of"]
        listed = inner if isinstance(inner, list | tuple) else [inner]
        return next(filter(None, (unavailable_reason(SourceUse.model_validate(one)) for one in listed)), "")
    if use.use == "run":
        from lrmctl.data.of_run import unbuilt_reason

        return unbuilt_reason(str(use.options.get("name", "")))
    if use.use == "hub":
        id = str(use.options.get("id", ""))
        here = Path(id).exists() or hub_snapshot(id, "datasets")
        return "" if here else f"the data set {id} is not on this machine"
    if use.use == ROLLOUT_PAIRS:
        return _missing_rollouts(str(use.options.get("run", "")))
    data = CATALOG.get(use.use)
    if data is None or local_file(data) or (data.hub and hub_snapshot(data.hub, "datasets")):
        return ""
    return f"the data set {data.name} is not on this machine (fix: put it at ${FOLDER}/{data.file}, or load it once)"


def _missing_rollouts(run: str) -> str:
    try:
        rollout_file(run)
    except LrmctlError as error:
        return f"the rollouts of {run} are not on this machine: {error.what}"
    return ""
