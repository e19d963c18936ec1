"""Public safety and over-refusal benchmarks, as implementations of the hook that third parties use too.

Facts of the sets are in `lrmctl/data/catalog/benchmarks.toml`; here rows become prompts, and their number is held
against the published one. Knows no models, no judges and no recipes.
"""

from __future__ import annotations

from typing import Any

__all__ = ["default_over_refusal"]


def default_over_refusal() -> dict[str, Any]:
    """The set to add where none has benign prompts, as a recipe would name it: XSTest's 250 safe prompts.

    Safety alone is reached by refusing everything; see `lrmctl/recipe/schema/evaluation.py`.
    """
    return {"use": "xstest", "options": {"split": "safe"}}
