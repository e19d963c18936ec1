"""Public mathematics problems with verifiable answers, for RL reasoning prompts. Training splits only."""

from __future__ import annotations

import re
from functools import cache

from lrmctl.data.builtin.catalogued import CatalogSource, RowReader, always
from lrmctl.data.catalog import CATALOG
from lrmctl.data.fetch import Row, fetch, local_file

INSTRUCTION = "Please reason step by step, and put your final answer within \\boxed{}."
"""Suffix that DeepSeek-R1's model card recommends for mathematics prompts; answers are extracted from the box."""


def gsm8k(
    n: int | None = None,
    seed: int = 0,
    instruction: str = INSTRUCTION,
    path: str | None = None,
    revision: str | None = None,
) -> CatalogSource:
    """GSM8K's training problems (arXiv 2110.14168); in demonstrations the worked solution is the thinking.

    Args:
        instruction: a line appended to the problem; empty for none.
    """
    reader = RowReader(
        CATALOG["gsm8k"],
        lambda row: _asked(row["question"], instruction),
        always("reasoning"),
        _worked,
        reference=lambda row: gsm8k_answer(row["answer"]),
        keep=lambda row: bool(gsm8k_answer(row["answer"])),
    )
    return CatalogSource(reader, n, seed, path, revision)


def mathematics(
    n: int | None = None,
    seed: int = 0,
    levels: tuple[int, ...] = (1, 2, 3, 4, 5),
    instruction: str = INSTRUCTION,
    path: str | None = None,
    revision: str | None = None,
) -> CatalogSource:
    """MATH's training problems (arXiv 2103.03874), none of MATH-500's.

    MATH-500 was drawn from the test problems, so the training split has none of them. If a local copy of MATH-500
    exists, its problems are also excluded by text, in case the file is not the training split.

    Args:
        levels: difficulties, 1 to 5.
        instruction: a line appended to the problem; empty for none.
    """
    unseen = cache(_math_500)  # read with the first row, not when the recipe is validated
    wanted = {f"Level {level}" for level in levels} | {str(level) for level in levels}
    reader = RowReader(
        CATALOG["math"],
        lambda row: _asked(row["problem"], instruction),
        always("reasoning"),
        reference=lambda row: boxed(row["solution"]),
        keep=lambda row: (
            bool(boxed(row["solution"]))
            and ("level" not in row or str(row["level"]) in wanted)
            and _plain(row["problem"]) not in unseen()
        ),
        id="unique_id",
        meta=("level", "type"),
    )
    return CatalogSource(reader, n, seed, path, revision)


def boxed(solution: str) -> str | None:
    """The content of a solution's last box; None if there is none."""
    from lrmctl._util.boxed import last_boxed

    return last_boxed(solution)


def _worked(row: Row) -> tuple[str, str] | None:
    """The solution without its calculator marks, and the boxed answer."""
    solution, _, _ = re.sub(r"<<[^>]*>>", "", str(row["answer"])).partition("####")
    answer = gsm8k_answer(str(row["answer"]))
    return (solution.strip(), f"\\boxed{{{answer}}}") if answer and solution.strip() else None


def gsm8k_answer(text: str) -> str | None:
    """The number after the last `####`, without thousands separators; None if there is none."""
    _, mark, answer = text.rpartition("####")
    return answer.strip().replace(",", "") or None if mark else None


def _asked(problem: str, instruction: str) -> str:
    return f"{problem.strip()}\n{instruction}" if instruction else problem.strip()


def _plain(problem: str) -> str:
    return "".join(problem.split())


def _math_500() -> frozenset[str]:
    """MATH-500's problems, if there is a local copy; it is not downloaded."""
    file = local_file(CATALOG["math-500"])
    rows: tuple[Row, ...] = fetch(CATALOG["math-500"], file).rows if file else ()
    return frozenset(_plain(row["problem"]) for row in rows)
