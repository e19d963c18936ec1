"""Sets whose prompts should be refused. Each function says what is taken of one set, and how its rows are read."""

from __future__ import annotations

from lrmctl.benchmarks.factory import one_of
from lrmctl.benchmarks.public import RowSelection, column, columns
from lrmctl.data.catalog import CATALOG
from lrmctl.data.fetch import Row
from lrmctl.errors import RecipeError
from lrmctl.types import Kind

STRONGREJECT = {"full": ("strongreject", ""), "small": ("strongreject-small", "small")}
FUNCTIONAL = ("standard", "contextual", "copyright", "all")
HARMBENCH = {
    "test": ("harmbench-test", {"standard": 159, "contextual": 81, "copyright": 80, "all": 320}),
    "val": ("harmbench-val", {"standard": 41, "contextual": 19, "copyright": 20, "all": 80}),
    "all": ("harmbench-all", {"standard": 200, "contextual": 100, "copyright": 100, "all": 400}),
}
CONTEXT_RULE = "\n\n---\n\n"
"""What HarmBench's own direct request puts between a context and the behaviour (arXiv 2402.04249, its code)."""
SORRY = {"202503": 440, "202406": 450}
STYLES = 21


def _harmful(_: Row) -> Kind:
    return "harmful"


def strongreject(split: str = "full") -> RowSelection:
    """StrongREJECT (arXiv 2402.10260): forbidden prompts in six categories.

    Args:
        split: `full` (313) or `small` (60, ten of each category).
    """
    one_of("strongreject", "split", split, STRONGREJECT)
    known, label = STRONGREJECT[split]
    data = CATALOG[known]
    meta = {"category": column("category"), "origin": column("source")}
    text = column("forbidden_prompt")
    return RowSelection(data, "strongreject", label, ("harmful",), data.rows, text, _harmful, meta=meta)


def harmbench(split: str = "test", functional: str = "standard") -> RowSelection:
    """HarmBench's behaviours (arXiv 2402.04249) as direct requests, a contextual one after its context.

    Copyright behaviours ask for protected text: a guard's verdict says little about them, HarmBench itself compares
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


def advbench() -> RowSelection:
    """AdvBench's 520 harmful behaviours (arXiv 2307.15043), in HarmBench's packaging. Many say nearly the same."""
    data, text = CATALOG["advbench"], column("Behavior")
    return RowSelection(data, "advbench", "", ("harmful",), data.rows, text, _harmful, id=column("BehaviorID"))


def malicious_instruct() -> RowSelection:
    """MaliciousInstruct (arXiv 2310.06987): 100 instructions of ten malicious intents."""
    data = CATALOG["malicious-instruct"]
    return RowSelection(data, "malicious-instruct", "", ("harmful",), data.rows, column("prompt"), _harmful)


def do_not_answer() -> RowSelection:
    """Do-Not-Answer (arXiv 2308.13387): 939 questions that a responsible model does not follow."""
    data = CATALOG["do-not-answer"]
    meta = columns("risk_area", "types_of_harm", "specific_harms")
    return RowSelection(
        data, "do-not-answer", "", ("harmful",), data.rows, column("question"), _harmful, id=column("id"), meta=meta
    )


def sorry_bench(version: str | int = "202503", style: str = "base") -> RowSelection:
    """SORRY-Bench (arXiv 2406.14598): ten prompts of each of its categories, as they are or rewritten. Gated.

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
