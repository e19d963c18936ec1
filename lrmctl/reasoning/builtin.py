"""Our own tasks over public data sets: which rows are asked, how, and how they are graded.

A task's options are the keyword arguments of its function here. Nothing is loaded before prompts are asked for. Knows
no model and no lm-eval.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from random import Random
from typing import Any

from lrmctl._util.suggest import did_you_mean
from lrmctl.data.builtin.mathematics import INSTRUCTION, gsm8k_answer
from lrmctl.data.catalog import CATALOG, DataSet
from lrmctl.data.fetch import FetchedRows, Row, fetch
from lrmctl.errors import RecipeError
from lrmctl.reasoning import choices, letters
from lrmctl.reasoning.base import ReasoningTask
from lrmctl.reasoning.grading import MATH_VERIFY, grade_integer, grade_mathematics
from lrmctl.types import Prompt

Read = Callable[[str, Row], Prompt]
"""A row as a prompt of the given id."""


@dataclass(frozen=True)
class _Rows:
    """The rows of one set that are asked.

    Attributes:
        n: this many, drawn by `seed`, in the set's own order; all for None.
        keep: rows that count at all.
        any_size: take a file that has not as many rows as the set was published with.
    """

    data: DataSet
    read: Read
    key: str
    path: str | None
    revision: str | None
    n: int | None
    seed: int
    any_size: bool
    keep: Callable[[Row], bool] = lambda _: True

    def load(self, limit: int | None = None) -> Sequence[Prompt]:
        return self._prompts[:limit]

    def provenance(self) -> dict[str, Any]:
        drawn = {"n": self.n, "seed": self.seed} if self.n else {}
        return {**self._fetched.facts, "asked": len(self._prompts), **drawn}

    @cached_property
    def _fetched(self) -> FetchedRows:
        fetched = fetch(self.data, self.path, self.revision)
        found, known = len(fetched.rows), self.data.rows
        if found != known and not self.any_size:
            raise RecipeError(
                f"the data set {self.data.name!r} has {found} rows here and {known} as published",
                str(fetched.facts.get("file", self.data.url)),
                "get the whole set, or say `any_size: true` to evaluate on what is there",
            )
        return fetched

    @cached_property
    def _prompts(self) -> tuple[Prompt, ...]:
        kept = [(i, row) for i, row in enumerate(self._fetched.rows) if self.keep(row)]
        if self.n is not None and self.n < len(kept):
            chosen = sorted(Random(f"{self.seed}/{self.data.name}").sample(range(len(kept)), self.n))
            kept = [kept[i] for i in chosen]
        if not kept:
            raise RecipeError(f"no row of {self.data.name!r} is left to ask", self.data.url)
        return tuple(self.read(f"{self.data.name}/{_id(row, self.key, i)}", row) for i, row in kept)


def _id(row: Row, key: str, index: int) -> str:
    found = row.get(key)
    return str(index if found is None or found == "" else found)


def _task(name: str, rows: _Rows, grade: Any, grader: tuple[str, str], **rest: Any) -> ReasoningTask:
    if rows.n is not None and rows.n < 1:
        raise RecipeError(f"n is {rows.n}", f"task {name}", "ask for at least one row, or leave it out")
    data = rows.data
    return ReasoningTask(
        name, rows.load, data.license, data.url, data.split, grade, grader, provenance=rows.provenance, **rest
    )


def _problem(question: str, reference: Callable[[Row], str], instruction: str, data: str) -> Read:
    """A row with a question in one column and a gold answer."""

    def read(id: str, row: Row) -> Prompt:
        gold = reference(row)
        if not gold:
            raise RecipeError(f"row {id!r} has no gold answer", CATALOG[data].url)
        text = str(row[question]).strip()
        asked = f"{text}\n{instruction}" if instruction else text
        return Prompt.user(id, asked, "reasoning", source=data, reference=gold)

    return read


def math500(
    path: str | None = None,
    revision: str | None = None,
    n: int | None = None,
    seed: int = 0,
    instruction: str = INSTRUCTION,
    any_size: bool = False,
    levels: Sequence[int] = (1, 2, 3, 4, 5),
) -> ReasoningTask:
    """MATH-500 (arXiv 2305.20050); `levels`: difficulties, 1 to 5, which the task is named after."""
    wanted = {str(level) for level in levels}
    if not wanted or wanted - set("12345"):
        raise RecipeError(f"MATH-500 has no level {levels!r}", "task math500", "levels are 1 to 5")
    read = _problem("problem", lambda row: str(row["answer"]), instruction, "math-500")
    rows = _Rows(
        CATALOG["math-500"],
        read,
        "unique_id",
        path,
        revision,
        n,
        seed,
        any_size,
        keep=lambda row: str(row.get("level", "1")).removeprefix("Level ") in wanted,
    )
    name = "math500" if len(wanted) == 5 else f"math500/{'+'.join(sorted(wanted))}"
    return _task(name, rows, grade_mathematics, MATH_VERIFY)


def _aime(name: str) -> Callable[..., ReasoningTask]:
    def make(
        path: str | None = None,
        revision: str | None = None,
        n: int | None = None,
        seed: int = 0,
        instruction: str = INSTRUCTION,
        any_size: bool = False,
    ) -> ReasoningTask:
        read = _problem("problem", lambda row: str(int(str(row["answer"]).strip())), instruction, name)
        return _task(
            name, _Rows(CATALOG[name], read, "id", path, revision, n, seed, any_size), grade_integer, MATH_VERIFY
        )

    return make


def _gsm8k(name: str, data: str) -> Callable[..., ReasoningTask]:
    def make(
        path: str | None = None,
        revision: str | None = None,
        n: int | None = None,
        seed: int = 0,
        instruction: str = INSTRUCTION,
        any_size: bool = False,
    ) -> ReasoningTask:
        read = _problem("question", lambda row: gsm8k_answer(str(row["answer"])) or "", instruction, data)
        rows = _Rows(CATALOG[data], read, "", path, revision, n, seed, any_size)
        return _task(name, rows, grade_mathematics, MATH_VERIFY)

    return make


def gpqa_diamond(
    path: str | None = None,
    revision: str | None = None,
    n: int | None = None,
    seed: int = 0,
    instruction: str = choices.INSTRUCTION,
    any_size: bool = False,
) -> ReasoningTask:
    """GPQA's hardest questions (arXiv 2311.12022). The choices' order hangs on the question, the choices and `seed`."""

    def read(id: str, row: Row) -> Prompt:
        right, *wrong = (str(row[c]).strip() for c in CATALOG["gpqa-diamond"].columns[1:])
        question = str(row["Question"]).strip()
        order = choices.pinned_order(f"{seed}/{question}", [right, *wrong])
        return _choice(id, question, order, order.index(right), instruction, "gpqa-diamond")

    rows = _Rows(CATALOG["gpqa-diamond"], read, "Record ID", path, revision, n, seed, any_size)
    return _task("gpqa_diamond", rows, choices.grade_choice, _LETTER)


_LETTER = ("letter", "1")


def _choice(id: str, question: str, order: Sequence[str], right: int, instruction: str, data: str) -> Prompt:
    text = choices.ask(question, order, instruction)
    meta = {"choices": list(order)}
    return Prompt.user(id, text, "reasoning", source=data, reference=letters.LETTERS[right], meta=meta)


def mmlu_pro(
    path: str | None = None,
    revision: str | None = None,
    n: int | None = None,
    seed: int = 0,
    instruction: str = choices.INSTRUCTION,
    any_size: bool = False,
    categories: Sequence[str] = (),
) -> ReasoningTask:
    """MMLU-Pro's test questions (arXiv 2406.01574), the choices in their published order.

    Args:
        categories: subjects, e.g. `math` or `computer science`, which the task is named after; all by default.
    """

    def read(id: str, row: Row) -> Prompt:
        options = [str(option).strip() for option in row["options"]]
        right = letters.LETTERS.index(str(row["answer"]).strip())
        return _choice(id, str(row["question"]), options, right, instruction, "mmlu-pro")

    wanted = {_subject(c) for c in ([categories] if isinstance(categories, str) else categories)}
    if unknown := sorted(wanted - set(SUBJECTS)):
        raise RecipeError(
            f"MMLU-Pro has no category {unknown[0]!r}", "task mmlu_pro", did_you_mean(unknown[0], SUBJECTS)
        )
    rows = _Rows(
        CATALOG["mmlu-pro"],
        read,
        "question_id",
        path,
        revision,
        n,
        seed,
        any_size,
        keep=lambda row: not wanted or _subject(row["category"]) in wanted,
    )
    return _task("/".join(["mmlu_pro", *sorted(wanted)]), rows, choices.grade_choice, _LETTER)


SUBJECTS = (
    "biology",
    "business",
    "chemistry",
    "computer science",
    "economics",
    "engineering",
    "health",
    "history",
    "law",
    "math",
    "other",
    "philosophy",
    "physics",
    "psychology",
)


def _subject(name: object) -> str:
    return str(name).strip().lower().replace("_", " ")


def ifeval(
    path: str | None = None,
    revision: str | None = None,
    n: int | None = None,
    seed: int = 0,
    any_size: bool = False,
) -> ReasoningTask:
    """IFEval (arXiv 2311.07911): instructions that a program can check, by lm-eval's own checkers.

    Raises:
        NotFoundError: the checkers' packages are not installed.
    """
    from lrmctl.reasoning.lm_eval.ifeval import check_word_data, checkers_version, grade_instructions, totals

    def read(id: str, row: Row) -> Prompt:
        meta = {
            "key": row["key"],
            "instruction_id_list": list(row["instruction_id_list"]),
            "kwargs": list(row["kwargs"]),
        }
        return Prompt.user(id, str(row["prompt"]), "reasoning", source="ifeval", reference="", meta=meta)

    rows = _Rows(CATALOG["ifeval"], read, "key", path, revision, n, seed, any_size)
    task = _task("ifeval", rows, grade_instructions, ("lm_eval ifeval", checkers_version()), totals=totals)
    return replace(task, load=lambda limit: check_word_data(rows.load(limit)))


def lab_arithmetic(n: int = 256, seed: int = 0) -> ReasoningTask:
    """The lab's word problems, held out of its training.

    Args:
        n: how many; the first ones are the same whatever it is.
    """

    def load(limit: int | None) -> Sequence[Prompt]:
        from lrmctl.lab.arithmetic import prompts

        return prompts("heldout", n if limit is None else min(limit, n), seed)

    if n < 1:
        raise RecipeError(f"n is {n}", "task lab_arithmetic", "ask for at least one problem")
    return ReasoningTask(
        "lab_arithmetic",
        load,
        license="Apache-2.0",
        url="lrmctl.lab.arithmetic (generated)",
        split="heldout",
        grade=grade_mathematics,
        grader=MATH_VERIFY,
    )


aime24, aime25 = _aime("aime24"), _aime("aime25")
gsm8k, gsm8k_platinum = _gsm8k("gsm8k", "gsm8k-test"), _gsm8k("gsm8k_platinum", "gsm8k-platinum")
