"""What a reward may return: training, scoring and `reward test` say the same of every value."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from calls import section

from lrmctl.rewards.compose import ComposedReward
from lrmctl.rewards.function import FunctionReward
from lrmctl.rewards.values import as_score
from lrmctl.testing.contract import check_contract, check_failures, sample_traces
from lrmctl.types import Score

NUMBERS = {
    "True": 1.0,
    "np.bool_(False)": 0.0,
    "3": 3.0,
    "np.int8(-2)": -2.0,
    "np.float32(0.5)": 0.5,
    "np.float16(0.5)": 0.5,
    "np.array(0.5)": 0.5,
    "np.array([[2]])": 2.0,
    "torch.tensor(0.25)": 0.25,
    "torch.tensor([1.0], requires_grad=True)": 1.0,
    "torch.tensor(True)": 1.0,
    "torch.tensor(0.5, dtype=torch.bfloat16)": 0.5,
    "Decimal('0.5')": 0.5,
    "Fraction(1, 4)": 0.25,
    "Score(np.bool_(True))": 1.0,
    "Score(0.5, logs={'n': np.int64(3)})": 0.5,
    "None": None,
    "Score()": None,
}
NO_NUMBERS = {
    "'0.5'": "a str, not a number",
    "b'1'": "a bytes, not a number",
    "[0.5]": "a list, not a number",
    "{'reward': 1.0}": "a dict, not a number",
    "{1.0}": "a set, not a number",
    "1j": "a complex, not a number",
    "float('nan')": "nan",
    "np.float32('inf')": "inf",
    "Decimal('NaN')": "nan",
    "Decimal('sNaN')": "no number",
    "10 ** 400": "no number (OverflowError)",
    "np.array([0.5, 0.5])": "a ndarray of shape (2,), not one number",
    "torch.tensor([0.1, 0.2])": "a Tensor of shape (2,), not one number",
    "torch.zeros(0)": "a Tensor of shape (0,), not one number",
    "torch.tensor(float('nan'))": "nan",
    "torch.tensor(1j)": "a complex, not a number",
    "torch.empty(1, device='meta')": "no number",
    "np.array('0.5')": "a str, not a number",
    "np.datetime64('2020')": "not a number",
    "object()": "a object, not a number",
    "(x for x in [1.0])": "a generator, not a number",
    "lambda: 1.0": "a function, not a number",
    "Score('0.5')": "a str, not a number",
    "Score(float('nan'))": "nan",
    "Score(0.5, logs={'n': 'many'})": "log 'n' is a str, not a number",
    "Score(0.5, logs=[1])": "logs are a list, not a mapping",
    "Score(0.5, error='broken')": "broken",
}
RAISES = [
    "raise ValueError('x')",
    "raise SystemExit(3)",
    "raise asyncio.CancelledError",
    "raise GeneratorExit",
    "raise Unreadable",
    "raise StopIteration",
    "raise RecursionError",
    "assert False",
    "return trace.kwargs['reference']",
]
HEAD = """
import asyncio
from decimal import Decimal
from fractions import Fraction
import numpy as np
import torch
from lrmctl.types import Score

class Unreadable(Exception):
    def __str__(self):
        raise RuntimeError("no text")

"""


def value_of(text: str) -> Any:
    import torch

    known = {"np": np, "torch": torch, "Decimal": Decimal, "Fraction": Fraction, "Score": Score}
    return eval(text, known)


def both(folder: Path, body: str) -> tuple[bool, list[Any]]:
    """Whether `reward test` accepts the function, and what a training run makes of it."""
    file = folder / "own.py"
    file.write_text(HEAD + body)
    fn = f"{file}:score"
    reward = FunctionReward(fn)
    checks = check_contract(reward)
    tested = all(check.ok for check in [*checks, check_failures(reward)])
    return tested, ComposedReward(section({"fn": fn})).score(sample_traces())


@pytest.mark.parametrize(("text", "value"), NUMBERS.items(), ids=str)
def test_every_kind_of_number_is_one_float(text: str, value: float | None) -> None:
    score = as_score(value_of(text))
    assert (score.value, score.error) == (value, "")
    assert score.value is None or type(score.value) is float


@pytest.mark.parametrize(("text", "says"), NO_NUMBERS.items(), ids=str)
def test_what_is_no_number_fails_and_says_what_it_is(text: str, says: str) -> None:
    score = as_score(value_of(text))
    assert score.failed
    assert score.value is None
    assert says in score.error


@pytest.mark.parametrize(
    ("body", "works"),
    [
        *((f"def score(trace):\n    return {text}", True) for text in NUMBERS),
        *((f"def score(trace):\n    return {text}", False) for text in NO_NUMBERS),
        *((f"def score(trace):\n    {text}", False) for text in RAISES),
        ("async def one(trace):\n    return 1.0\nscore = one", False),
        ("async def many(traces):\n    return [1.0 for _ in traces]\nscore = many", False),
        ("def score(trace):\n    yield 1.0", False),
        ("def score(traces):\n    yield from (1.0 for _ in traces)", True),
        ("def score(traces):\n    return (1.0 for _ in traces)", True),
        ("def score(traces):\n    return torch.ones(len(traces))", True),
        ("def score(traces):\n    return np.ones(len(traces), dtype=bool)", True),
        ("def score(traces):\n    return tuple(None for _ in traces)", True),
        ("def score(traces):\n    return 1.0", False),
        ("def score(traces):\n    return np.array(1.0)", False),
        ("def score(traces):\n    return None", False),
        ("def score(traces):\n    return [1.0]", False),
        ("def score(traces):\n    return [1.0] * (len(traces) + 1)", False),
        ("def score(traces):\n    return '1' * len(traces)", False),
        ("def score(traces):\n    return {t.prompt.id: 1.0 for t in traces}", False),
        ("def score(traces):\n    return torch.ones(len(traces), 2)", False),
        ("def score(completions, **kwargs):\n    return [1.0 for _ in completions]", False),
        ("def score(trace):\n    return None if '4' in trace.answer else float('nan')", False),
    ],
)
def test_reward_test_accepts_what_training_accepts(tmp_path: Path, body: str, works: bool) -> None:
    tested, rewards = both(tmp_path, body)
    assert tested is works
    assert (not any(reward.error for reward in rewards)) is works
    assert all(reward.total is None for reward in rewards if reward.error)
