"""The lab's model with other markers in its tokenizer and template thinks the same thoughts, and is read the same."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lrmctl.engines.base import Rendering, Sampling
from lrmctl.engines.decoding.engine import steered
from lrmctl.engines.hf.engine import HfEngine
from lrmctl.engines.store import Store, sample_traces
from lrmctl.errors import RecipeError
from lrmctl.hooks import registry
from lrmctl.lab import base_path
from lrmctl.recipe.schema.decoding import Budget, Decoding, DefaultDecoding, MoreThink, ZeroThink
from lrmctl.thinking import builtin_formats
from lrmctl.types import Trace

GREEDY = Sampling(0.0, max_new_tokens=60)
Renamed = Callable[[str, str], Path]


@pytest.fixture(scope="module")
def renamed(tmp_path_factory: pytest.TempPathFactory) -> Renamed:
    """The lab's model, its two tags called otherwise."""

    def make(open: str, close: str) -> Path:
        folder = tmp_path_factory.mktemp("renamed")
        for file in base_path().iterdir():
            shutil.copy2(file, folder / file.name)
            if file.name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
                text = file.read_text(encoding="utf-8")
                text = text.replace("</think>", close).replace("<think>", open)
                (folder / file.name).write_text(text, encoding="utf-8")
        return folder

    return make


def traces(path: Path, tmp_path: Path, mode: Decoding, thinking: object = None) -> list[Trace]:
    prompts = registry.make("benchmark", "lab-harmful", n=6, split="heldout").load()
    engine = steered(HfEngine(path, rendering=Rendering(thinking=thinking)), mode)  # type: ignore[arg-type]
    with Store(tmp_path / f"{path.name}-{mode.mode}.sqlite") as store:
        return sample_traces(engine, store, prompts, GREEDY, 1, seed=0)


MODES = [DefaultDecoding(), ZeroThink(), Budget(tokens=8), MoreThink(rounds=2, words=("Wait",), tokens=40)]


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.mode)
def test_modes_and_counts_are_those_of_the_same_model_with_think_tags(
    mode: Decoding, renamed: Renamed, tmp_path: Path
) -> None:
    wanted = traces(base_path(), tmp_path, mode)
    assert any(trace.answer for trace in wanted)
    for name in ("magistral", "thought"):
        form = builtin_formats()[name]
        found = traces(renamed(form.open, form.close), tmp_path, mode)
        if form.opening.endswith("\n"):
            answers = (t.answer.replace(form.close, "</think>").replace(form.open, "<think>") for t in found)
            assert [replace(t, answer=answer) for t, answer in zip(found, answers, strict=True)] == wanted
        else:  # its own spacing around the markers
            assert [t.thinking_state for t in found] == [t.thinking_state for t in wanted]
            assert not any(form.open in t.answer or form.close in t.thinking for t in found)


def test_markers_of_the_recipes_own_are_used_and_others_refused(renamed: Renamed, tmp_path: Path) -> None:
    path = renamed("<ponder>", "</ponder>")
    own = {"open": "<ponder>", "close": "</ponder>"}
    assert traces(path, tmp_path, DefaultDecoding(), own) == traces(base_path(), tmp_path, DefaultDecoding())
    assert "<ponder>" in HfEngine(path).thinking.warnings[0]
    with pytest.raises(RecipeError, match="chat template"):
        _ = HfEngine(base_path(), rendering=Rendering(thinking={"format": "magistral"})).thinking
    with pytest.raises(RecipeError, match="opens the thought"):
        _ = HfEngine(base_path(), rendering=Rendering(thinking="off")).thinking


def test_a_model_without_thinking_is_off_and_its_answer_is_all_there_is(renamed: Renamed, tmp_path: Path) -> None:
    path = renamed("<think>", "</think>")
    template = path / "chat_template.jinja"
    text = template.read_text(encoding="utf-8")
    closing = "{% if enable_thinking is defined and not enable_thinking %}\n</think>\n\n{% endif %}"
    template.write_text(text + closing, encoding="utf-8")
    engine = HfEngine(path, rendering=Rendering(template_args={"enable_thinking": False}))
    assert (engine.thinking.mode, engine.thinking.on) == ("can think", False)
    assert "can think, off" in engine.facts()["thinking"]
    prompts = registry.make("benchmark", "lab-benign", n=6, split="heldout").load()
    with Store(tmp_path / "off.sqlite") as store:
        found = sample_traces(engine, store, prompts, GREEDY, 1, seed=0)
    assert {t.thinking_state for t in found} <= {"off", "closed", "unclosed"}
    assert "off" in {t.thinking_state for t in found}  # the lab's model, not trained for it, thinks at times
    assert all(t.answer and not t.faults for t in found if t.thinking_state == "off")
