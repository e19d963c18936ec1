"""The pages that are taken from the code are what the code says now, and what is registered is documented."""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import lrmctl
from lrmctl import testing
from lrmctl.backends.launch import LaunchJob
from lrmctl.hooks import registry, specs
from lrmctl.hooks.distributions import Candidate
from lrmctl.hooks.manager import GROUPS, PluginEntry, register_plugin
from lrmctl.types import Trace

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
CHECKS: dict[str, Callable[[Any], None]] = {
    "reward": testing.check_reward,
    "judge": testing.check_judge,
    "benchmark": testing.check_benchmark,
    "source": testing.check_source,
    "thinking-format": testing.check_thinking_format,
    "lexicon": testing.check_lexicon,
    "reasoning-task": testing.check_reasoning_task,
    "doctor-check": testing.check_doctor_check,
    "analysis": testing.check_analysis,
    "backend": testing.check_backend,
}


def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_reference", ROOT / "tools" / "write_reference.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pages_from_the_code_are_up_to_date() -> None:
    stale = [file.name for file, text in tool().pages().items() if file.read_text(encoding="utf-8") != text]
    assert stale == [], "run `make reference`"


def test_every_hook_has_a_group_and_every_group_a_hook() -> None:
    hooks = {name for name, value in vars(specs).items() if hasattr(value, "lrmctl_spec")}
    assert hooks == set(GROUPS.values())
    for name in hooks:
        assert f"### {name}\n" in PLUGINS
        assert f"{name}{inspect.signature(getattr(specs, name))}".replace("'", "") in PLUGINS


@pytest.mark.parametrize("group", GROUPS)
def test_the_example_of_a_hook_registers_and_keeps_the_contract(
    group: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # examples write where they are
    (entry,) = example(group)
    assert entry.group == group
    assert entry.summary
    if group == "engine":
        answers(entry.factory)
        return
    made = registry.adapted(group, entry.factory()) if group in registry.BASES else entry.factory()
    if group in CHECKS:
        CHECKS[group](made)
    elif group == "tracker":
        told = specs.TrackedRun("shown", tmp_path, {}, 1, print)
        made.run_started(told)
        made.step(1, {"reward": 0.5})
        made.finished(tmp_path)
        assert (tmp_path / "diary.txt").read_text() == "shown 1 0.5\n"
    elif group == "recipe":
        assert made == Path("rl-brief.yaml")
    elif group == "launcher":
        job = LaunchJob("shown", ["true"], {}, tmp_path, tmp_path / "output.log")
        assert made.run(job, print, lambda: None, print) == 0
        testing.check_launcher(entry.factory)
    else:
        assert group == "backend"
        launched(made, tmp_path)


def example(group: str) -> list[PluginEntry]:
    """What the example in a hook's docstring registers, as a plugin of its own."""
    _, source = tool().split_example(getattr(specs, GROUPS[group]))
    module = ModuleType(f"shown_{group.replace('-', '_')}")
    module.__file__ = "shown.py"
    sys.modules[module.__name__] = module  # rewards are sent through a pipe by their module's name
    exec(compile(source, group, "exec"), vars(module))
    return register_plugin(Candidate("shown", "1", partial(lambda found: found, module)))


def answers(factory: Callable[..., Any]) -> None:
    from lrmctl.engines import Rendering, Sampling
    from lrmctl.types import Prompt

    engine = factory("m", rendering=Rendering(), batch_size=None, reply="Yes.")
    prompt = Prompt.user("1", "Is it?", "benign")
    request = engine.request(prompt, Sampling(), 0, 0)
    ((_, completion),) = next(iter(engine.generate([request])))
    assert engine.trace(prompt, request, completion).answer == "Yes."
    assert engine.question([{"role": "user", "content": "Is it?"}], 5).text == "Is it?"
    testing.check_engine(engine)


def launched(backend: Any, folder: Path) -> None:
    from lrmctl.api.recipes import recipe_of_kind
    from lrmctl.backends import TrainJob

    model = folder / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    recipe: Any = recipe_of_kind("lab/rl", "rl").recipe
    plan = backend.plan(TrainJob(recipe, model, folder, ()))
    trained = backend.launch(plan, folder, print, lambda: None)
    assert (trained / "config.json").read_text() == "{}"
    assert backend.checkpoint(folder) is None


def test_every_field_of_a_trace_is_in_the_table() -> None:
    rows = [line for line in PLUGINS.splitlines() if line.startswith("| `")]
    told = " ".join(line.split(" | ")[0] for line in rows if line.count(" | ") == 3)
    assert [f.name for f in dataclasses.fields(Trace) if f"`{f.name}`" not in told] == []


def test_what_training_does_not_know_of_a_trace_is_as_the_table_says() -> None:
    from lrmctl.rewards.service.protocol import GivenThought, decode_call, encode_label
    from lrmctl.types import Prompt

    prompt = Prompt.user("1", "how?", "harmful", reference="9", meta={"key": [1]})
    label = encode_label(prompt, opened=True, given=GivenThought("Sure."))
    (trace, cut) = (
        decode_call(f"Q{text}", "Q", label, ("<end>",))
        for text in (" I plan.</think><odd>No.<end>", " I plan.</think>No")
    )
    assert (trace.thinking, trace.answer, trace.finish_reason, cut.finish_reason) == (
        "Sure. I plan.",
        "<odd>No.",
        "stop",
        "length",
    )
    assert (trace.sample, trace.skipped, trace.error, trace.thinking_tokens) == (0, False, "", None)
    assert trace.prompt == dataclasses.replace(prompt, meta={"key": [1], "given_thought": "Sure."})


def test_every_public_name_is_documented() -> None:
    python = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    assert [name for name in lrmctl.__all__ if name not in python] == []
    assert [name for name in testing.__all__ if f"`{name}" not in PLUGINS] == []
