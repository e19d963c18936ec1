"""Registers the built-in data sources."""

from __future__ import annotations

from lrmctl.data.sources import hub_source, jsonl_source
from lrmctl.hooks.specs import Register, hookimpl


@hookimpl
def lrmctl_sources(register: Register) -> None:
    register("jsonl", jsonl_source, summary="a local .jsonl or .json file of prompts or demonstrations")
    register("hub", hub_source, summary="a Hugging Face data set by id, or a local folder of one")
