"""What an evaluation takes, counted before it starts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lrmctl.engines.store import pace_of
from lrmctl.evaluation.pace import earlier_evaluation
from lrmctl.evaluation.plan import plan_evaluation
from lrmctl.planning.prices import Prices
from lrmctl.recipe.load import load_recipe

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Lrmctl

    from lrmctl.recipe.schema.evaluation import EvalSection

EVAL = """
kind: eval
name: planned
model: lab:tiny
evaluation:
  judge: {strongreject: {model: m, engine: {use: openai, base_url: "http://judge:8000/v1"}}}
  safety: [{use: lab-harmful, options: {n: 8}}]
  over_refusal: false
  samples: 4
  temperatures: [0, 0.6]
  max_new_tokens: 100
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "e.yaml").write_text(EVAL)
    return tmp_path / "e.yaml"


def test_completions_calls_and_tokens_are_counted(recipe: Path) -> None:
    plan = plan_evaluation(load_recipe(recipe).recipe.evaluation, 2)  # type: ignore[union-attr, arg-type]
    # 8 prompts, once at temperature 0 and 4 times at 0.6; thinking and answer are judged
    assert (plan.completions, plan.tokens_at_most, plan.judge_calls) == (40, 4000, 80)
    servers = plan.server_judges
    assert servers
    assert (servers.calls, servers.written) == (80, 80 * 512)
    assert 80 * (1000 + 100) < servers.read < 80 * (1000 + 100 + 60)  # prompts of the lab are short
    cost = plan.cost(Prices(gpu_hour=3.6, eval_tokens_per_second=10))
    assert cost.hours == pytest.approx(200 / 3600)
    assert cost.gpu_money == pytest.approx(2 * 200 / 3600 * 3.6)


def test_the_command_prints_it_and_starts_nothing(lrmctl: Lrmctl, recipe: Path, tmp_path: Path) -> None:
    told = lrmctl(
        "eval", "some/model", "--recipe", recipe, "--dry-run", "--price", "judge_in=1,judge_out=2,currency=EUR"
    )
    assert told.code == 0, told.err
    lines = [" ".join(line.split()) for line in told.out.splitlines()]
    assert "completions 40" in lines
    assert any(line.startswith("hours not known evaluate a few prompts (--variant pilot") for line in lines)
    assert any(line.startswith("judges cost at most 0.1") and " EUR " in line for line in lines)
    assert lines[-1] == "planned; nothing was started"
    assert not (tmp_path / "runs").exists()
    refused = lrmctl("eval", "some/model", "--recipe", recipe, "--price", "judge_in=1")
    assert (refused.code, "--price is for --dry-run" in refused.err) == (2, True)


def test_hours_are_those_of_an_earlier_evaluation_with_the_same_limit(
    evaluated: Any, section: Callable[..., EvalSection], tmp_path: Path
) -> None:
    many = section(48, samples=5)
    earlier = earlier_evaluation("lab:tiny", evaluated.out, many, tmp_path)
    assert earlier
    pace = pace_of(evaluated.out / "eval" / "completions.sqlite")
    assert pace
    assert pace.completions == len(evaluated.rows)
    plan = plan_evaluation(many, 0)
    assert plan.completions
    cost = plan.cost(Prices(), earlier)
    assert cost.hours == pytest.approx(plan.completions / pace.completions * pace.seconds / 3600)
    assert f"as {len(evaluated.rows)} of '{evaluated.out.name}' on cpu; assumes" in cost.hours_from
    assert not cost.at_most
    stated = plan.cost(Prices(eval_tokens_per_second=10), earlier)
    assert "as stated" in stated.hours_from


def test_an_evaluation_of_another_model_or_limit_says_nothing_of_the_hours(
    evaluated: Any, section: Callable[..., EvalSection], tmp_path: Path
) -> None:
    runs = evaluated.out.parent
    assert earlier_evaluation("lab:tiny", evaluated.out, section(max_new_tokens=111), tmp_path) is None
    assert earlier_evaluation("another/model", runs / "another", section(), tmp_path) is None
    assert earlier_evaluation(evaluated.summary["model"], runs / "another", section(), runs)
