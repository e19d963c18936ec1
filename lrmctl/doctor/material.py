"""Checks of what is fetched: access to the hub, data sets on this machine, and plugins."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from lrmctl.doctor.check import Check, Machine

_WAIT = 3.0  # seconds for the hub's answer


def hub(_: Machine) -> Iterator[Check]:
    """Whether the Hugging Face hub answers, and whether there is a token for gated models and data."""
    from huggingface_hub import constants, get_token

    if constants.HF_HUB_OFFLINE:
        yield Check("hub", "ok", "offline by HF_HUB_OFFLINE; models and data come from this machine")
    elif why := _unreachable(constants.ENDPOINT):
        fix = "name local folders in recipes, and export HF_HUB_OFFLINE=1; or export HF_ENDPOINT for a mirror"
        yield Check("hub", "warn", f"{constants.ENDPOINT} does not answer ({why})", fix)
    else:
        yield Check("hub", "ok", f"{constants.ENDPOINT} answers")
    if get_token():
        yield Check("hub token", "ok", "there is one; gated models and data need its account's consent as well")
    else:
        found = (
            "there is none; gated models and data (Llama Guard, WildGuard, WildJailbreak, GPQA) cannot be downloaded"
        )
        yield Check("hub token", "warn", found, "hf auth login, or export HF_TOKEN=...")


def data_sets(_: Machine) -> Iterator[Check]:
    """Public data sets that are on this machine."""
    from lrmctl.data.availability import unavailable_reason
    from lrmctl.data.catalog import CATALOG
    from lrmctl.data.fetch import FOLDER
    from lrmctl.recipe.schema.sections import Use

    folder = os.environ.get(FOLDER)
    if folder and not Path(folder).is_dir():
        yield Check("data sets", "fail", f"{FOLDER} names no folder: {folder}", f"mkdir -p {folder}, or unset {FOLDER}")
        return
    here = [name for name in CATALOG if not unavailable_reason(Use(use=name))]
    found = (
        f"{len(here)} of {len(CATALOG)} public ones are on this machine; others are downloaded when a recipe names them"
    )
    yield Check("data sets", "ok", f"{found} (`lrmctl benchmark list`)")


def plugins(_: Machine) -> Iterator[Check]:
    """Third-party plugins that did not load, with their reasons."""
    from lrmctl.hooks import registry

    if problems := registry.problems():
        fix = "update or uninstall them; nothing else is affected"
        if all(problem.loading for problem in problems):
            fix = f"nothing if they are only slow: a recipe waits for them; otherwise {fix}"
        yield Check("plugins", "warn", "; ".join(map(str, problems)), fix)
    else:
        yield Check("plugins", "ok", f"{len(registry.names())} names registered")


def _unreachable(endpoint: str) -> str:
    """Why the hub does not answer; empty if it does, whatever it says."""
    import httpx

    try:
        httpx.head(endpoint, timeout=_WAIT, follow_redirects=False)
    except httpx.HTTPError as error:
        return type(error).__name__
    return ""
