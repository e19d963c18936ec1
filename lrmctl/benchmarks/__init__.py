"""Public safety and over-refusal benchmarks, registered through the same hook as third-party ones.

Facts about the sets are in `lrmctl/data/catalog/benchmarks.toml`; here rows become prompts, and their number is checked
against the published one. Knows no models, no judges and no recipes.
"""

from __future__ import annotations

from typing import Any

__all__ = ["default_over_refusal"]


def default_over_refusal() -> dict[str, Any]:
    """The set to add if there are no benign prompts, as named in a recipe: XSTest's 250 safe prompts.

    Otherwise a model would score best by refusing everything; see `lrmctl/recipe/schema/evaluation.py`.
    """
    return {"use": "xstest", "options": {"split": "safe"}}
