"""Public safety data sets as sources: demonstrations with thinking, harmful prompts, and benign ones.

Evaluation sets (XSTest, StrongREJECT, JailbreakBench, HarmBench's test behaviours) are excluded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lrmctl.data.builtin.catalogued import CatalogSource, RowReader, always, column, thought_and_answer
from lrmctl.data.catalog import CATALOG
from lrmctl.data.fetch import Row
from lrmctl.data.sources import Demonstration
from lrmctl.errors import RecipeError
from lrmctl.hooks.specs import Source
from lrmctl.types import Kind, Prompt

FIXED_THOUGHT = "I should not answer this question!"
FIXED_HELP = "This is a harmless request. I can help with it."
FIXED_REFUSAL = "I'm sorry, but I can't help with that."
WILD_TYPES = ("vanilla_harmful", "adversarial_harmful", "vanilla_benign", "adversarial_benign")


def star_1(n: int | None = None, seed: int = 0, path: str | None = None, revision: str | None = None) -> CatalogSource:
    """STAR-1 (arXiv 2504.01903): 1,000 harmful prompts with policy-grounded thinking and a safe answer."""
    return CatalogSource(_star("star-1", "harmful"), n, seed, path, revision)


def star_benign(
    n: int | None = None, seed: int = 0, path: str | None = None, revision: str | None = None
) -> CatalogSource:
    """STAR-benign-915 (arXiv 2504.01903): harmless prompts that look like STAR-1's, answered."""
    return CatalogSource(_star("star-benign", "benign"), n, seed, path, revision)


def _star(name: str, kind: Kind) -> RowReader:
    response = thought_and_answer("response")
    return RowReader(CATALOG[name], column("question"), always(kind), response, meta=("category", "source"))


def safechain(
    labels: Sequence[str] | None = None,
    n: int | None = None,
    seed: int = 0,
    path: str | None = None,
    revision: str | None = None,
) -> CatalogSource:
    """SafeChain (arXiv 2502.12025): R1's responses to WildJailbreak prompts that a guard found safe.

    Args:
        labels: use only rows with these labels, e.g. `[vanilla_harmful]`.
    """
    reader = RowReader(
        CATALOG["safechain"],
        column("instruction"),
        lambda row: _kind(str(row["label"])),
        thought_and_answer("response"),
        keep=lambda row: labels is None or row["label"] in labels,
        meta=("label",),
    )
    return CatalogSource(reader, n, seed, path, revision)


def _kind(label: str) -> Kind:
    return "harmful" if "harmful" in label else "benign"


def wildjailbreak(
    types: Sequence[str] = WILD_TYPES[:2],
    n: int | None = None,
    seed: int = 0,
    path: str | None = None,
    revision: str | None = None,
) -> CatalogSource:
    """WildJailbreak's training prompts (arXiv 2406.18510), harmful or benign, plain or adversarial.

    Args:
        types: row types: `vanilla_harmful`, `adversarial_harmful`, `vanilla_benign`, `adversarial_benign`.
    """
    if unknown := [t for t in types if t not in WILD_TYPES]:
        raise RecipeError(f"wildjailbreak has no rows of type {unknown[0]!r}", fix=f"choose from {list(WILD_TYPES)}")
    reader = RowReader(
        CATALOG["wildjailbreak"],
        lambda row: str(row["adversarial" if row["data_type"].startswith("adversarial") else "vanilla"]),
        lambda row: _kind(str(row["data_type"])),
        keep=lambda row: row["data_type"] in types,
        meta=("data_type",),
    )
    return CatalogSource(reader, n, seed, path, revision)


def advbench(n: int | None = None, seed: int = 0, path: str | None = None) -> CatalogSource:
    """AdvBench's harmful behaviours (arXiv 2307.15043). StrongREJECT contains 25 of them: check the overlap."""
    reader = RowReader(CATALOG["advbench"], column("Behavior"), always("harmful"), id="BehaviorID")
    return CatalogSource(reader, n, seed, path, None)


def harmbench_val(n: int | None = None, seed: int = 0, path: str | None = None) -> CatalogSource:
    """HarmBench's 80 validation behaviours (arXiv 2402.04249), each after its context; none of the test behaviours."""
    reader = RowReader(
        CATALOG["harmbench-val"],
        lambda row: "\n\n".join(filter(None, (row["ContextString"], row["Behavior"]))),
        always("harmful"),
        id="BehaviorID",
        meta=("FunctionalCategory",),
    )
    return CatalogSource(reader, n, seed, path, None)


def alpaca(n: int | None = None, seed: int = 0, path: str | None = None, revision: str | None = None) -> CatalogSource:
    """Alpaca's instructions, as benign prompts."""
    reader = RowReader(
        CATALOG["alpaca"],
        lambda row: "\n\n".join(filter(None, (row["instruction"], row["input"]))),
        always("benign"),
    )
    return CatalogSource(reader, n, seed, path, revision)


def self_instruct_seed(
    thought: str = FIXED_HELP, longest: int | None = None, n: int | None = None, seed: int = 0, path: str | None = None
) -> CatalogSource:
    """Self-Instruct's 175 seed tasks (arXiv 2212.10560): everyday instructions with answers, both by people.

    Args:
        thought: the thinking of every demonstration, because the data has none.
        longest: words of instruction and answer together; longer ones are left out.
    """
    reader = RowReader(
        CATALOG["self-instruct-seed"],
        _instruction,
        always("benign"),
        lambda row: (thought, str(row["instances"][0]["output"]).strip()),
        keep=lambda row: longest is None or len(_whole_task(row).split()) <= longest,
        meta=("name",),
    )
    return CatalogSource(reader, n, seed, path, None)


def _instruction(row: Row) -> str:
    return "\n\n".join(filter(None, (str(row["instruction"]).strip(), str(row["instances"][0]["input"]).strip())))


def _whole_task(row: Row) -> str:
    return f"{_instruction(row)} {row['instances'][0]['output']}"


def direct_refusal(
    of: Mapping[str, Any] | None = None,
    thought: str = FIXED_THOUGHT,
    refusal: str = FIXED_REFUSAL,
    n: int | None = None,
    seed: int = 0,
    path: str | None = None,
    revision: str | None = None,
) -> CatalogSource | FixedRefusals:
    """DirectRefusal (arXiv 2503.00555): harmful prompts, each with the same one-sentence thought and a refusal.

    Args:
        of: a source, `{use: ..., options: {...}}`, whose harmful prompts get `refusal`; by default the published data.
        thought: the thinking.
    """
    if of is not None:
        return FixedRefusals(of, thought, refusal, n)
    reader = RowReader(
        CATALOG["direct-refusal"],
        lambda row: _question_and_refusal(row)[0],
        always("harmful"),
        lambda row: (thought, _question_and_refusal(row)[1]),
        keep=lambda row: all(_question_and_refusal(row)),
    )
    return CatalogSource(reader, n, seed, path, revision)


def _question_and_refusal(row: Row) -> tuple[str, str]:
    """The column contains `Question: ...` and, on its own line, `Answer: ...`."""
    question, _, answer = str(row["refusal"]).partition("\nAnswer: ")
    return question.removeprefix("Question: ").strip(), answer.strip()


class FixedRefusals(Source):
    """The harmful prompts of another source, each with the same thinking and refusal."""

    def __init__(self, of: Mapping[str, Any], thought: str, refusal: str, n: int | None) -> None:
        from lrmctl.hooks import registry

        if not isinstance(of, Mapping) or set(of) - {"use", "options"} or "use" not in of:
            raise RecipeError("`of` names a source: {use: ..., options: {...}}", "source direct-refusal")
        self._source = registry.make("source", of["use"], **of.get("options", {}))
        self._thought, self._refusal, self._n = thought, refusal, n

    def prompts(self) -> list[Prompt]:
        harmful = [p for p in self._source.prompts() if p.kind == "harmful"][: self._n]
        if not harmful:
            raise RecipeError("the source under `of` has no harmful prompts", "source direct-refusal")
        return harmful

    def demonstrations(self) -> list[Demonstration]:
        return [
            Demonstration(replace(p, source="direct-refusal"), self._thought, self._refusal) for p in self.prompts()
        ]

    def provenance(self) -> dict[str, Any]:
        return {**self._source.provenance(), "thought": self._thought, "refusal": self._refusal}
