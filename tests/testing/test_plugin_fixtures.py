"""The fixtures for authors of plugins: traces of every state, the reward client, and what pytest's start costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from lrmctl.errors import LrmctlError
from lrmctl.testing import check_reward, named_traces, reward_client
from lrmctl.thinking import builtin_formats
from lrmctl.trace import GIVEN_THOUGHT
from lrmctl.types import Kind, Prompt, Trace

STATES = {"closed": "closed", "refused": "closed", "truncated": "closed", "unclosed": "unclosed", "absent": "absent"}


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_format_has_a_trace_of_every_state(kind: Kind) -> None:
    traces = named_traces(kind)
    for form in builtin_formats():
        for name, state in STATES.items():
            assert traces[f"{form}/{name}"].thinking_state == state, f"{form}/{name}"
        assert traces[f"{form}/closed"].answer == "The answer is 4."
        assert traces[f"{form}/unclosed"].answer == ""
        assert traces[f"{form}/malformed"].faults
        given = traces[f"{form}/given"]
        assert given.thinking.startswith(given.prompt.meta[GIVEN_THOUGHT])
    assert {"off", "skipped", "error"} <= set(traces)
    assert all(Trace.from_json(trace.to_json()) == trace for trace in traces.values())


def test_the_named_traces_can_be_given_to_the_contract() -> None:
    from lrmctl.hooks import registry

    check_reward(registry.make("reward", "format"), list(named_traces().values()))


@pytest.mark.usefixtures("odd_rewards")
def test_the_client_gets_what_a_trainer_gets_and_the_error_that_would_end_a_run(tmp_path: Path) -> None:
    prompt = Prompt.user("p", "What is 2 + 2?", "reasoning", reference="4")
    traces = [Trace(prompt, "Two and two.", answer, "closed") for answer in ("4", "four", "it is 4")]
    traces += [Trace(prompt, "Two and", "", "unclosed", "length"), Trace(prompt, "", "off", "off")]
    with reward_client("odd-length", folder=tmp_path) as client:
        assert client.score(traces) == [1.0, 4.0, 7.0, 0.0, 3.0]
        rows = {row["answer"]: row for row in client.rollouts()}
    assert [rows[t.answer]["thinking_state"] for t in traces] == ["closed"] * 3 + ["unclosed", "off"]
    assert rows["4"]["thinking"] == "Two and two."
    with reward_client({"use": "odd-raising", "weight": 0.5}) as client, pytest.raises(LrmctlError, match="is gone"):
        client.score(traces[:1])


def test_the_pytest_plugin_imports_nothing_heavy() -> None:
    program = "import sys, pytest, lrmctl.testing.pytest_plugin; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"torch", "transformers", "numpy", "pydantic", "msgspec", "yaml", "jinja2", "httpx", "rich", "typer"}
    assert not heavy & set(loaded)
    assert not {name for name in loaded if name.startswith(("lrmctl.rewards", "lrmctl.lab", "lrmctl.recipe"))}


def test_a_project_that_does_not_use_the_fixtures_is_not_disturbed(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text(
        "def test_other(request):\n    assert request.fixturenames == ['request']\n"
    )
    words = ["-q", "-p", "lrmctl.testing.pytest_plugin", "-p", "no:cacheprovider", "-W", "error", "--strict-markers"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert "1 passed" in done.stdout, done.stdout
