"""Sets that ask for judgement: benign prompts that look harmful, and sets that hold both kinds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lrmctl.benchmarks.factory import one_of
from lrmctl.benchmarks.public import RowSelection, column, columns
from lrmctl.data.catalog import CATALOG
from lrmctl.data.fetch import Row
from lrmctl.types import Kind

_BOTH: tuple[Kind, ...] = ("harmful", "benign")
XSTEST: Mapping[str, tuple[tuple[Kind, ...], int]] = {
    "safe": (("benign",), 250),
    "unsafe": (("harmful",), 200),
    "all": (_BOTH, 450),
}
JAILBREAKBENCH: Mapping[str, Kind] = {"harmful": "harmful", "benign": "benign"}
WILD: Mapping[str, tuple[tuple[Kind, ...], int]] = {
    "adversarial_harmful": (("harmful",), 2000),
    "adversarial_benign": (("benign",), 210),
    "all": (_BOTH, 2210),
}
OR_BENCH: Mapping[str, Kind] = {"hard": "benign", "80k": "benign", "toxic": "harmful"}
WILDGUARD: Mapping[tuple[str, str], int] = {
    ("harmful", "vanilla"): 413,
    ("harmful", "adversarial"): 341,
    ("benign", "vanilla"): 490,
    ("benign", "adversarial"): 455,
}
"""754 prompts are labelled harmful and 945 unharmful; 796 of them are adversarial, of which 455 are unharmful."""


def xstest(split: str = "safe") -> RowSelection:
    """XSTest (arXiv 2308.01263): safe prompts of ten types that look unsafe, and unsafe ones in contrast to them.

    Args:
        split: `safe` (250, benign), `unsafe` (200, harmful) or `all`.
    """
    one_of("xstest", "split", split, XSTEST)
    kinds, count = XSTEST[split]
    return RowSelection(
        CATALOG["xstest"],
        "xstest",
        split,
        kinds,
        count,
        column("prompt"),
        lambda row: "benign" if row["label"] == "safe" else "harmful",
        id=column("id"),
        keep=lambda row: split in ("all", row["label"]),
        meta=columns("type", "focus", "note"),
    )


def jailbreakbench(split: str = "harmful") -> RowSelection:
    """JailbreakBench (arXiv 2404.01318): 100 misuse behaviours, and 100 benign ones on the same topics.

    Args:
        split: `harmful` or `benign`.
    """
    one_of("jailbreakbench", "split", split, JAILBREAKBENCH)
    kind, data = JAILBREAKBENCH[split], CATALOG[f"jailbreakbench-{split}"]
    meta = columns("behavior", "category")
    text = column("goal")
    return RowSelection(
        data, "jailbreakbench", split, (kind,), data.rows, text, lambda _: kind, id=_numbered(split), meta=meta
    )


def _numbered(split: str) -> Any:
    """The hub's own numbers start at 0 in both splits."""
    return lambda row: f"{split}/{row['index']}"


def wildjailbreak_eval(split: str = "adversarial_harmful") -> RowSelection:
    """WildJailbreak's evaluation prompts (arXiv 2406.18510): attacks in the manner of users, benign look-alikes. Gated.

    Args:
        split: `adversarial_harmful` (2,000), `adversarial_benign` (210) or `all`.
    """
    hint = "vanilla prompts are in the training file alone" if split.startswith("vanilla") else ""
    one_of("wildjailbreak-eval", "split", split, WILD, hint)
    kinds, count = WILD[split]
    return RowSelection(
        CATALOG["wildjailbreak-eval"],
        "wildjailbreak-eval",
        split,
        kinds,
        count,
        column("adversarial"),
        lambda row: "harmful" if str(row["data_type"]).endswith("harmful") else "benign",
        keep=lambda row: split in ("all", row["data_type"]),
        meta=columns("data_type"),
    )


def or_bench(split: str = "hard") -> RowSelection:
    """OR-Bench (arXiv 2405.20947): benign prompts that models tend to refuse, and toxic ones in contrast.

    Args:
        split: `hard` (1,319, benign), `80k` (80,359, benign) or `toxic` (655, harmful).
    """
    one_of("or-bench", "split", split, OR_BENCH)
    kind, data = OR_BENCH[split], CATALOG[f"or-bench-{split}"]
    meta = columns("category")
    return RowSelection(data, "or-bench", split, (kind,), data.rows, column("prompt"), lambda _: kind, meta=meta)


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
