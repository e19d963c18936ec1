"""Public sets that are divided in two ways at once, so that facts alone cannot define their splits.

Each function defines the selection of one set, and how its rows are read.
"""

from __future__ import annotations

from collections.abc import Mapping

from lrmctl.benchmarks.factory import PublicSet, one_of
from lrmctl.benchmarks.public import RowSelection, column, columns
from lrmctl.data.catalog import CATALOG
from lrmctl.data.fetch import Row
from lrmctl.errors import RecipeError
from lrmctl.types import Kind

_BOTH: tuple[Kind, ...] = ("harmful", "benign")
FUNCTIONAL = ("standard", "contextual", "copyright", "all")
HARMBENCH = {
    "test": ("harmbench-test", {"standard": 159, "contextual": 81, "copyright": 80, "all": 320}),
    "val": ("harmbench-val", {"standard": 41, "contextual": 19, "copyright": 20, "all": 80}),
    "all": ("harmbench-all", {"standard": 200, "contextual": 100, "copyright": 100, "all": 400}),
}
CONTEXT_RULE = "\n\n---\n\n"
"""Separator of a context and the behaviour in HarmBench's own direct request (arXiv 2402.04249, its code)."""
SORRY = {"202503": 440, "202406": 450}
STYLES = 21
WILDGUARD: Mapping[tuple[str, str], int] = {
    ("harmful", "vanilla"): 413,
    ("harmful", "adversarial"): 341,
    ("benign", "vanilla"): 490,
    ("benign", "adversarial"): 455,
}
"""754 prompts are labelled harmful and 945 unharmful; 796 of them are adversarial, of which 455 are unharmful."""


def _harmful(_: Row) -> Kind:
    return "harmful"


def harmbench(split: str = "test", functional: str = "standard") -> RowSelection:
    """HarmBench's behaviours (arXiv 2402.04249) as direct requests, contextual ones after their context.

    Copyright behaviours ask for protected text: a guard's verdict says little about them, and HarmBench itself compares
    with the text.

    Args:
        split: `test` (320), `val` (80) or `all` (400).
        functional: `standard`, `contextual`, `copyright` or `all`.
    """
    one_of("harmbench", "split", split, HARMBENCH)
    one_of("harmbench", "functional category", functional, FUNCTIONAL)
    known, counts = HARMBENCH[split]
    return RowSelection(
        CATALOG[known],
        "harmbench",
        f"{split}-{functional}",
        ("harmful",),
        counts[functional],
        _after_its_context,
        _harmful,
        id=column("BehaviorID"),
        keep=lambda row: functional in ("all", row["FunctionalCategory"]),
        meta={
            "functional": column("FunctionalCategory"),
            "category": column("SemanticCategory"),
            "behavior": column("Behavior"),
            "context": column("ContextString"),
        },
    )


def _after_its_context(row: Row) -> str:
    return CONTEXT_RULE.join(filter(None, (row["ContextString"], row["Behavior"])))


def sorry_bench(version: str | int = "202503", style: str = "base") -> RowSelection:
    """SORRY-Bench (arXiv 2406.14598): ten prompts per category, original or mutated. Gated.

    Args:
        version: `202503` (44 categories, 440 prompts) or `202406` (45 categories, 450 prompts).
        style: `base`, one of the set's twenty mutations (its column `prompt_style`), or `all`.
    """
    version = str(version)  # YAML reads a number
    one_of("sorry-bench", "version", version, SORRY)
    count = SORRY[version] * (STYLES if style == "all" else 1)
    return RowSelection(
        CATALOG[f"sorry-bench-{version}"],
        "sorry-bench",
        version if style == "base" else f"{version}-{style}",
        ("harmful",),
        count,
        _first_turn,
        _harmful,
        id=lambda row: f"{version}/{row['prompt_style']}/{row['question_id']}",
        keep=lambda row: style in ("all", row["prompt_style"]),
        meta={"category": column("category"), "style": column("prompt_style")},
    )


def _first_turn(row: Row) -> str:
    turns = row["turns"]
    if isinstance(turns, str):
        return turns
    if len(turns) != 1:
        raise RecipeError(f"question {row['question_id']} of sorry-bench has {len(turns)} turns; one is known")
    return str(turns[0] or "")


def wildguardtest(split: str = "harmful", attacks: str = "all") -> RowSelection:
    """WildGuardTest's prompts (arXiv 2406.18495) by the annotators' label of the prompt. Gated.

    Args:
        split: `harmful` (754), `benign` (945) or `all`.
        attacks: `adversarial`, `vanilla` or `all`.
    """
    one_of("wildguardtest", "split", split, (*_BOTH, "all"))
    one_of("wildguardtest", "attacks", attacks, ("adversarial", "vanilla", "all"))
    chosen = {cell: n for cell, n in WILDGUARD.items() if split in ("all", cell[0]) and attacks in ("all", cell[1])}
    return RowSelection(
        CATALOG["wildguardtest"],
        "wildguardtest",
        split if attacks == "all" else f"{split}-{attacks}",
        tuple(kind for kind in _BOTH if split in ("all", kind)),
        sum(chosen.values()),
        column("prompt"),
        _labelled_kind,
        keep=lambda row: bool(row["prompt_harm_label"]) and (_labelled_kind(row), _attack(row)) in chosen,
        meta={"attack": _attack, **columns("subcategory")},
    )


def _labelled_kind(row: Row) -> Kind:
    return "harmful" if row["prompt_harm_label"] == "harmful" else "benign"


def _attack(row: Row) -> str:
    return "adversarial" if str(row["adversarial"]).lower() == "true" else "vanilla"


HARMBENCH_SET = PublicSet(harmbench, tuple({"split": s, "functional": f} for s in HARMBENCH for f in FUNCTIONAL))
SORRY_BENCH_SET = PublicSet(sorry_bench, tuple({"version": v} for v in SORRY))
WILDGUARDTEST_SET = PublicSet(wildguardtest, ({}, {"split": "benign"}, {"split": "all"}))
