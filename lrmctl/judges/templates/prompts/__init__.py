"""Prompts of rubric judges, in lrmctl's own words; `{prompt}` and `{response}` stand for the fenced texts."""

from __future__ import annotations

from importlib.resources import files

__all__ = ["prompt_text"]


def prompt_text(name: str) -> str:
    """The text in `NAME.txt` beside this file."""
    return files(__name__).joinpath(f"{name}.txt").read_text(encoding="utf-8")
