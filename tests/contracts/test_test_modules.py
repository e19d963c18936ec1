"""Modules of the tests have one name each: pytest puts their folders on one path, where the first hides the other."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parents[1]


def test_no_two_modules_of_the_tests_have_one_name() -> None:
    counted = Counter(file.name for file in TESTS.rglob("*.py") if file.name not in ("conftest.py", "__init__.py"))
    assert [name for name, number in counted.items() if number > 1] == []
