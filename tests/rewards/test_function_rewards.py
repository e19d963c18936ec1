"""A reward that is a function in a file: what it may take and return, and what is said of one that cannot be used."""

from __future__ import annotations

import hashlib
import multiprocessing
import textwrap
from pathlib import Path

import pytest

from lrmctl.errors import LrmctlError, RecipeError
from lrmctl.preflight.arms import load_arms
from lrmctl.preflight.validate import validate
from lrmctl.recipe.function_ref import functions_of
from lrmctl.recipe.load import LoadedRecipe, load_recipe
from lrmctl.recipe.lock import make_lock
from lrmctl.recipe.schema.recipes import RewardSection, RlRecipe
from lrmctl.rewards.compose import ComposedReward
from lrmctl.types import Prompt, Trace

RECIPE = """\
kind: rl
name: mine
model: lab:tiny
prompts:
  - {use: lab-prompts}
reward:
  components:
    - fn: ./rewards/my_reward.py:score
"""


def trace(answer: str = "no", thinking: str = "hm") -> Trace:
    return Trace(Prompt.user("p", "?", "harmful"), thinking, answer, "closed")


@pytest.fixture
def recipe(tmp_path: Path):
    def write(code: str, more: str = "", text: str = RECIPE) -> Path:
        (tmp_path / "rewards").mkdir(exist_ok=True)
        (tmp_path / "rewards" / "my_reward.py").write_text(textwrap.dedent(code))
        (tmp_path / "recipe.yaml").write_text(text + textwrap.indent(textwrap.dedent(more), " " * 6))
        return tmp_path / "recipe.yaml"

    return write


def section(loaded: LoadedRecipe) -> RewardSection:
    assert isinstance(loaded.recipe, RlRecipe)
    return loaded.recipe.reward


def values(path: Path, *traces: Trace) -> list:
    loaded = load_recipe(path)
    validate(loaded)
    reward = ComposedReward(section(loaded))
    return [r.components[reward.names[0]].value for r in reward.score(traces)]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("def score(trace):\n    return len(trace.answer)", [2.0, 4.0]),
        ("def score(trace):\n    return trace.answer == 'no'", [1.0, 0.0]),
        ("def score(trace):\n    return None", [None, None]),
        ("from lrmctl import Score\ndef score(t):\n    return Score(2.5, logs={'a': 1.0})", [2.5, 2.5]),
        ("def score(traces):\n    return [len(t.answer) + len(traces) for t in traces]", [4.0, 6.0]),
        ("import numpy as np\ndef score(trace):\n    return np.float32(0.5)", [0.5, 0.5]),
        ("def score(trace, part):\n    return len(part)", [5.0, 5.0]),
        ("score = lambda trace: 3", [3.0, 3.0]),
        ("if True:\n    def score(trace):\n        return 7", [7.0, 7.0]),
    ],
)
def test_a_function_may_be_written_in_the_way_that_suits_it(recipe, code, expected):
    assert values(recipe(code), trace("no"), trace("none")) == expected


def test_options_and_the_part_reach_the_function(recipe):
    path = recipe(
        "def score(trace, part, *, limit, scale=2.0):\n    return scale * min(limit, len(getattr(trace, part)))",
        "options: {limit: 3}\npart: thinking",
    )
    assert values(path, trace(thinking="a"), trace(thinking="long")) == [2.0, 6.0]


def test_the_lower_of_both_parts_counts(recipe):
    path = recipe("def score(trace, part):\n    return len(getattr(trace, part))", "part: both")
    assert values(path, trace("no", "thought"), trace("long", "x")) == [2.0, 1.0]


def test_one_trace_that_raises_fails_alone_and_the_place_is_named(recipe):
    path = recipe("def score(trace):\n    return 1 / len(trace.answer)")
    good, bad = ComposedReward(section(load_recipe(path))).score([trace("a"), trace("")])
    assert good.total == 1.0
    assert "ZeroDivisionError" in bad.error
    assert "my_reward.py:2" in bad.error


@pytest.mark.parametrize("value", ["float('nan')", "'1'", "[1.0]"])
def test_what_is_no_number_is_a_failure(recipe, value):
    path = recipe(f"def score(trace):\n    return {value}")
    (reward,) = ComposedReward(section(load_recipe(path))).score([trace()])
    assert reward.total is None
    assert "my_reward" in reward.error


@pytest.mark.parametrize(
    ("code", "more", "says"),
    [
        ("def scores(trace):\n    return 1", "", "did you mean 'scores'"),
        ("def score(trace)\n    return 1", "", "my_reward.py:1: is not Python"),
        ("class score:\n    pass", "", "is a class"),
        ("async def score(trace):\n    return 1", "", "is a coroutine"),
        ("def score():\n    return 1", "", "takes no trace"),
        ("def score(trace, limit=1):\n    return 1", "options: {limt: 2}", "did you mean 'limit'"),
        ("def score(trace, limit):\n    return 1", "", "needs the option 'limit'"),
        ("def score(trace):\n    return 1", "part: thinking", "does not ask which part"),
        ("def outer():\n    def score(trace):\n        return 1", "", "there is no function 'score'"),
    ],
)
def test_validation_says_what_is_wrong_and_names_the_recipe_line(recipe, code, more, says):
    path = recipe(code, more)
    with pytest.raises(RecipeError) as caught:
        validate(load_recipe(path))
    assert says in str(caught.value)
    assert "recipe.yaml:8: reward.components.0.fn" in str(caught.value)


def test_a_missing_file_is_named(recipe, tmp_path):
    path = recipe("")
    (tmp_path / "rewards" / "my_reward.py").unlink()
    with pytest.raises(RecipeError, match=r"recipe.yaml:8: .*there is no file .*my_reward.py"):
        validate(load_recipe(path))


def test_validation_runs_nothing_and_loading_says_what_went_wrong(recipe, tmp_path):
    path = recipe(f"open({str(tmp_path / 'ran')!r}, 'w')\nraise OSError('no disk')\ndef score(trace):\n    return 1")
    loaded = load_recipe(path)
    validate(loaded)
    assert not (tmp_path / "ran").exists()
    with pytest.raises(LrmctlError, match=r"my_reward.py:2: cannot be loaded: OSError: no disk"):
        ComposedReward(section(loaded))


def test_the_file_lies_beside_the_recipe_that_names_it_even_if_another_extends_it(recipe, tmp_path):
    recipe("def score(trace):\n    return 2")
    child = tmp_path / "deep" / "child.yaml"
    child.parent.mkdir()
    child.write_text("extends: ../recipe.yaml\nname: child\n")
    assert values(child, trace()) == [2.0]


def test_the_arm_of_a_study_finds_it_beside_the_study(recipe, tmp_path, monkeypatch):
    recipe("def score(trace):\n    return 2")
    arm = "  - {name: a, recipe: recipe.yaml, set: {reward.components: [{fn: ./rewards/my_reward.py:score}]}}\n"
    study = tmp_path / "study.yaml"
    study.write_text(f"kind: study\nname: s\narms:\n{arm}evaluation: {{}}\n")
    monkeypatch.chdir("/")
    (found,) = functions_of(load_arms(load_recipe(study))["a"].resolved)
    assert found == f"{tmp_path.resolve()}/rewards/my_reward.py:score"


def test_a_file_may_import_its_neighbour_and_two_files_of_one_name_are_two(recipe, tmp_path):
    path = recipe("from neighbour_of_mine import BASE\ndef score(trace):\n    return BASE")
    (tmp_path / "rewards" / "neighbour_of_mine.py").write_text("BASE = 5\n")
    other = tmp_path / "other" / "my_reward.py"
    other.parent.mkdir()
    other.write_text("def good(trace):\n    return 6\n")
    path.write_text(path.read_text() + "    - fn: ./other/my_reward.py:good\n")
    (reward,) = ComposedReward(section(load_recipe(path))).score([trace()])
    assert {name: s.value for name, s in reward.components.items()} == {"my_reward": 5.0, "good": 6.0}


def test_the_lock_has_the_hash_of_the_file(recipe, tmp_path):
    loaded = load_recipe(recipe("def score(trace):\n    return 2"))
    file = tmp_path / "rewards" / "my_reward.py"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert make_lock(loaded)["functions"] == {str(file.resolve()): digest}


def test_kinds_that_no_component_covers_are_a_note(recipe):
    found = validate(load_recipe(recipe("def score(trace):\n    return 1", "when: harmful")))
    notes = [str(f) for f in found if "covers" in str(f)]
    assert len(notes) == 1
    assert "no component covers benign and reasoning prompts" in notes[0]
    assert "recipe.yaml:7" in notes[0]


def test_a_recipe_with_functions_is_pickled_to_another_process(recipe):
    loaded = load_recipe(recipe("def score(trace):\n    return len(trace.answer)"))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_elsewhere, (section(loaded),)) == 3.0


def _elsewhere(words: RewardSection) -> float | None:
    return ComposedReward(words).score([trace("yes")])[0].total
