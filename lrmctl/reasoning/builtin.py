"""Our own tasks over public data sets: which rows are used, how they are asked and graded; a table, and two functions.

A task's options are the arguments of its `select` function and those common to all tasks. Nothing is loaded before
prompts are requested. Knows no model and no lm-eval.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from random import Random
from typing import Any, NamedTuple

from lrmctl._util.suggest import did_you_mean
from lrmctl.data.builtin.mathematics import INSTRUCTION, gsm8k_answer
from lrmctl.data.catalog import CATALOG, DataSet
from lrmctl.data.fetch import FetchedRows, Row, fetch
from lrmctl.errors import RecipeError
from lrmctl.reasoning import choices, letters
from lrmctl.reasoning.base import GradedTrace, ReasoningTask
from lrmctl.reasoning.grading import MATH_VERIFY, grade_integer, grade_mathematics
from lrmctl.types import Prompt, Trace

Read = Callable[[str, Row], Prompt]
"""Converts a row to a prompt with the given id."""


@dataclass(frozen=True)
class _Rows:
    """The rows of one data set that are used.

    Attributes:
        n: number of rows, drawn by `seed`, in the data set's order; all for None.
        keep: filter on rows.
        any_size: accept a file without the published number of rows.
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


@dataclass(frozen=True)
class TaskSelection:
    """What a task uses of its data set.

    Attributes:
        read: converts a row to a prompt.
        keep: filter on rows.
        suffix: added to the task's name if an option selects a part of the data set.
    """

    read: Read
    keep: Callable[[Row], bool] = lambda _: True
    suffix: str = ""


@dataclass(frozen=True)
class PublicTask:
    """A task over a public data set; calling it with a recipe's options makes the task.

    Every task has the options `path`, `revision`, `n`, `seed` and `any_size`; see `docs/reasoning.md`.

    Attributes:
        data: name in the catalogue.
        key: the column of a row's id; empty for its number.
        select: maps the task's own options to its selection.
        grade, grader: see `ReasoningTask`.
    """

    name: str
    data: str
    key: str
    select: Callable[..., TaskSelection]
    grade: Callable[[Trace], GradedTrace] = grade_mathematics
    grader: tuple[str, str] = MATH_VERIFY

    def __post_init__(self) -> None:
        own = [p for p in inspect.signature(self.select).parameters.values() if p.name != "seed"]
        common = {p.name: p for p in inspect.signature(_Common).parameters.values()}
        *first, last = common.values()
        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*first, *own, last)]
        object.__setattr__(self, "__signature__", inspect.Signature(parameters))

    def __call__(self, **options: Any) -> ReasoningTask:
        common = _Common(**{key: value for key, value in options.items() if key in _Common._fields})
        takes = inspect.signature(self.select).parameters
        given = {**options, "seed": common.seed}
        chosen = self.select(**{key: value for key, value in given.items() if key in takes})
        rows = _Rows(CATALOG[self.data], chosen.read, self.key, *common, keep=chosen.keep)
        return _task(f"{self.name}{chosen.suffix}", rows, self.grade, self.grader)


class _Common(NamedTuple):
    """The options common to all tasks over public data sets; see `_Rows`."""

    path: str | None = None
    revision: str | None = None
    n: int | None = None
    seed: int = 0
    any_size: bool = False


def _task(name: str, rows: _Rows, grade: Any, grader: tuple[str, str], **rest: Any) -> ReasoningTask:
    if rows.n is not None and rows.n < 1:
        raise RecipeError(f"n is {rows.n}", f"task {name}", "ask for at least one row, or leave it out")
    data = rows.data
    return ReasoningTask(
        name, rows.load, data.license, data.url, data.split, grade, grader, provenance=rows.provenance, **rest
    )


def _problem(data: str, question: str, reference: Callable[[Row], str]) -> Callable[..., TaskSelection]:
    """Rows with a question in one column and a gold answer in another."""

    def select(instruction: str = INSTRUCTION) -> TaskSelection:
        def read(id: str, row: Row) -> Prompt:
            gold = reference(row)
            if not gold:
                raise RecipeError(f"row {id!r} has no gold answer", CATALOG[data].url)
            text = str(row[question]).strip()
            asked = f"{text}\n{instruction}" if instruction else text
            return Prompt.user(id, asked, "reasoning", source=data, reference=gold)

        return TaskSelection(read)

    return select


def _gold(row: Row) -> str:
    return str(row["answer"])


def _gold_integer(row: Row) -> str:
    return str(int(_gold(row).strip()))


def _gold_after_marks(row: Row) -> str:
    return gsm8k_answer(_gold(row)) or ""


def _math500(instruction: str = INSTRUCTION, levels: Sequence[int] = (1, 2, 3, 4, 5)) -> TaskSelection:
    """`levels`: difficulties, 1 to 5; they are part of the task's name."""
    wanted = {str(level) for level in levels}
    if not wanted or wanted - set("12345"):
        raise RecipeError(f"MATH-500 has no level {levels!r}", "task math500", "levels are 1 to 5")
    return replace(
        _problem("math-500", "problem", _gold)(instruction),
        keep=lambda row: str(row.get("level", "1")).removeprefix("Level ") in wanted,
        suffix="" if len(wanted) == 5 else f"/{'+'.join(sorted(wanted))}",
    )


def _gpqa_diamond(seed: int = 0, instruction: str = choices.INSTRUCTION) -> TaskSelection:
    """The choices' order depends on the question, the choices and `seed`."""

    def read(id: str, row: Row) -> Prompt:
        right, *wrong = (str(row[c]).strip() for c in CATALOG["gpqa-diamond"].columns[1:])
        question = str(row["Question"]).strip()
        order = choices.pinned_order(f"{seed}/{question}", [right, *wrong])
        return _choice(id, question, order, order.index(right), instruction, "gpqa-diamond")

    return TaskSelection(read)


_LETTER = ("letter", "1")


def _choice(id: str, question: str, order: Sequence[str], right: int, instruction: str, data: str) -> Prompt:
    text = choices.ask(question, order, instruction)
    meta = {"choices": list(order)}
    return Prompt.user(id, text, "reasoning", source=data, reference=letters.LETTERS[right], meta=meta)


def _mmlu_pro(instruction: str = choices.INSTRUCTION, categories: Sequence[str] = ()) -> TaskSelection:
    """The choices in their published order; `categories`: subjects, e.g. `math`; they are part of the task's name."""

    def read(id: str, row: Row) -> Prompt:
        options = [str(option).strip() for option in row["options"]]
        right = letters.LETTERS.index(str(row["answer"]).strip())
        return _choice(id, str(row["question"]), options, right, instruction, "mmlu-pro")

    wanted = {_subject(c) for c in ([categories] if isinstance(categories, str) else categories)}
    if unknown := sorted(wanted - set(SUBJECTS)):
        raise RecipeError(
            f"MMLU-Pro has no category {unknown[0]!r}", "task mmlu_pro", did_you_mean(unknown[0], SUBJECTS)
        )
    return TaskSelection(
        read,
        lambda row: not wanted or _subject(row["category"]) in wanted,
        "".join(f"/{one}" for one in sorted(wanted)),
    )


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
    """IFEval (arXiv 2311.07911): instructions that a program can check, with lm-eval's own checkers.

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
    """The lab's arithmetic word problems, held out from its training.

    Args:
        n: number of prompts; a larger number adds to the same first ones.
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


PUBLIC_TASKS = (
    PublicTask("math500", "math-500", "unique_id", _math500),
    PublicTask(
        "aime24",
        "aime24",
        "id",
        _problem("aime24", "problem", _gold_integer),
        grade_integer,
    ),
    PublicTask(
        "aime25",
        "aime25",
        "id",
        _problem("aime25", "problem", _gold_integer),
        grade_integer,
    ),
    PublicTask(
        "gsm8k",
        "gsm8k-test",
        "",
        _problem("gsm8k-test", "question", _gold_after_marks),
    ),
    PublicTask(
        "gsm8k_platinum",
        "gsm8k-platinum",
        "",
        _problem("gsm8k-platinum", "question", _gold_after_marks),
    ),
    PublicTask(
        "gpqa_diamond",
        "gpqa-diamond",
        "Record ID",
        _gpqa_diamond,
        choices.grade_choice,
        _LETTER,
    ),
    PublicTask(
        "mmlu_pro",
        "mmlu-pro",
        "question_id",
        _mmlu_pro,
        choices.grade_choice,
        _LETTER,
    ),
)
"""Sources: MATH-500 arXiv 2305.20050, GPQA arXiv 2311.12022, MMLU-Pro arXiv 2406.01574."""


def public_task(name: str) -> PublicTask:
    """The task of that name among `PUBLIC_TASKS`."""
    return next(task for task in PUBLIC_TASKS if task.name == name)
