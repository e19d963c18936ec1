"""Majority vote over several samples of a prompt. Pure functions over samples; knows no rows.

Averages over samples and pass@k need only counts and are in `lrmctl.stats`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

Same = Callable[[str, str], bool]
_WRITTEN_ALIKE = str.maketrans("", "", " \t\n$")


@lru_cache(maxsize=65536)
def same_answer(a: str, b: str) -> bool:
    """Whether two final answers are the same: equal text apart from spaces, equal numbers, or equal to math_verify."""
    from lrmctl.reasoning.verify import is_correct

    x, y = _normal(a), _normal(b)
    if x == y:
        return True
    if x.isalpha() and y.isalpha():  # letters of choices and words: no algebra
        return False
    return is_correct(f"\\boxed{{{a}}}", b) or is_correct(f"\\boxed{{{b}}}", a)


def maj_at_k(
    extracted: Sequence[Sequence[str | None]],
    correct: Sequence[Sequence[bool | None]],
    same: Same = same_answer,
) -> NDArray[float64]:
    """Whether the most frequent answer is right, for each prompt, `[prompts]` float64.

    Equal answers form a group; the largest group is the majority's answer. Tied groups count by equal shares, so that
    the result does not depend on the order of samples. A sample without a final answer has no vote; a prompt none of
    whose samples has one is wrong.

    Args:
        extracted: final answers by prompt and sample; None if there is none.
        correct: whether each sample is right; None if generation failed: such a sample does not count.
        same: whether two final answers are the same.

    Returns:
        0 to 1 per prompt; NaN if every sample failed.
    """
    import numpy as np

    prompts = zip(extracted, correct, strict=True)
    return np.array([_majority(list(zip(e, c, strict=True)), same) for e, c in prompts], dtype=np.float64)


def _majority(samples: Sequence[tuple[str | None, bool | None]], same: Same) -> float:
    counted = [(answer, right) for answer, right in samples if right is not None]
    if not counted:
        return float("nan")
    groups = _groups([(answer, right) for answer, right in counted if answer is not None], same)
    if not groups:
        return 0.0
    most = max(len(group) for group in groups)
    shares = [sum(group) / len(group) for group in groups if len(group) == most]
    return sum(shares) / len(shares)


def _groups(votes: Sequence[tuple[str, bool]], same: Same) -> list[list[bool]]:
    """Correctness by groups of equal answers; a group is compared by its first answer."""
    groups: list[tuple[str, list[bool]]] = []
    by_text: dict[str, list[bool]] = {}
    for answer, right in votes:
        text = _normal(answer)
        if text not in by_text:
            found = next((group for first, group in groups if same(first, answer)), None)
            if found is None:
                found = []
                groups.append((answer, found))
            by_text[text] = found
        by_text[text].append(right)
    return [group for _, group in groups]


def _normal(answer: str) -> str:
    return answer.translate(_WRITTEN_ALIKE).rstrip(".")
