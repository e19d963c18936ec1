"""No test asserts on a time: such a test is red on a machine that is busy with something else.

What guards a complexity class counts operations; what may hang has a generous limit (`pytest.mark.timeout`).
`tests/benchmarks` measures times, and is not part of `make test`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
CLOCKS = frozenset(
    {"time", "monotonic", "perf_counter", "process_time", "thread_time", "monotonic_ns", "perf_counter_ns"}
)
FILES = [file for file in sorted(TESTS.rglob("*.py")) if "benchmarks" not in file.relative_to(TESTS).parts[:1]]


def _reads_clock(node: ast.AST) -> bool:
    return any(
        isinstance(call, ast.Call)
        and (
            (isinstance(call.func, ast.Attribute) and call.func.attr in CLOCKS and _is_time(call.func.value))
            or (isinstance(call.func, ast.Name) and call.func.id in CLOCKS - {"time"})
        )
        for call in ast.walk(node)
    )


def _is_time(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "time"


def assertions_on_time(source: str) -> Iterator[int]:
    """Lines of assertions that read a clock, or a name that was computed from one in the same function."""
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        timed: set[str] = set()
        for node in sorted((n for n in ast.walk(function) if isinstance(n, ast.stmt)), key=lambda n: n.lineno):
            names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
            if isinstance(node, ast.Assign) and (_reads_clock(node.value) or names & timed):
                timed |= {n.id for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name)}
            if isinstance(node, ast.Assert) and (_reads_clock(node.test) or names & timed):
                yield node.lineno


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(TESTS)))
def test_no_test_asserts_on_a_time(file: Path) -> None:
    assert list(assertions_on_time(file.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("start = time.monotonic()\n    work()\n    assert time.monotonic() - start < 2", 1),
        ("start = time.process_time()\n    took = time.process_time() - start\n    assert took < 2", 1),
        ("start = perf_counter()\n    took = work(), perf_counter() - start\n    assert took[1] < 2", 1),
        (
            "end = time.monotonic() + 5\n    while time.monotonic() < end and not at():\n        pass\n    assert at()",
            0,
        ),
        ("assert work() == 2", 0),
    ],
)
def test_an_assertion_on_a_time_is_seen(body: str, found: int) -> None:
    assert len(list(assertions_on_time(f"def test_it():\n    {body}\n"))) == found
