"""Prices are stated by the user, in the environment or for one command, and nothing is made up for what is not."""

from __future__ import annotations

import pytest

from lrmctl.errors import RecipeError
from lrmctl.planning.cost import CostEstimate, JudgeTokens, hours_at_rate, server_tokens
from lrmctl.planning.prices import Prices, stated_prices

SERVER = {"model": "m", "engine": {"use": "openai", "base_url": "http://h:1/v1"}}


def test_the_option_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRMCTL_PRICES", "gpu_hour=2.5, currency=EUR")
    assert stated_prices() == Prices(gpu_hour=2.5, currency="EUR")
    assert stated_prices(["gpu_hour=3", "judge_in=0.15,judge_out=0.6"]) == Prices(3.0, 0.15, 0.6, "EUR")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gpu_hours=1", "did you mean 'gpu_hour'"),
        ("gpu_hour", "not KEY=VALUE"),
        ("gpu_hour=", "not KEY=VALUE"),
        ("gpu_hour=two", "no number of at least 0"),
        ("gpu_hour=-1", "no number of at least 0"),
        ("gpu_hour=inf", "no number of at least 0"),
        ("eval_tokens_per_second=0", "no number above 0"),
    ],
)
def test_what_is_no_price_is_refused(text: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        stated_prices([text])


def test_money_is_that_of_gpu_hours_and_judge_tokens() -> None:
    cost = CostEstimate(2.0, 8, "", JudgeTokens(1000, 3_000_000, 500_000), Prices(2.5, 0.15, 0.6, "EUR"))
    assert (cost.gpu_hours, cost.gpu_money) == (16.0, 40.0)
    assert cost.judge_money == pytest.approx(3 * 0.15 + 0.5 * 0.6)
    assert cost.money == pytest.approx(40.75)


def test_what_is_not_known_makes_the_sum_unknown() -> None:
    tokens = JudgeTokens(1, 10, 1)
    assert CostEstimate(None, 8, "", tokens, Prices(2.5, 1, 1)).money is None
    assert CostEstimate(1.0, 8, "", tokens, Prices(2.5)).money is None
    assert CostEstimate(1.0, 8, "", None, Prices(2.5, 1, 1)).money is None
    assert CostEstimate(1.0, 0, "", JudgeTokens(), Prices()).money == 0.0


def test_a_rate_is_of_one_gpu() -> None:
    assert hours_at_rate(36_000_000, 500, 4) == pytest.approx(5.0)
    assert hours_at_rate(3600, 1, 0) == pytest.approx(1.0)
    assert hours_at_rate(None, 500, 4) is None


def test_only_judges_on_servers_have_tokens_and_each_of_a_panel_is_counted() -> None:
    assert server_tokens("refusal-phrases", {}, 100, 500) == JudgeTokens()
    assert server_tokens("qwen3guard", {"model": "m"}, 100, 500) == JudgeTokens()
    # 1,000 tokens for the question; strongreject replies with 512 tokens at most unless its option says otherwise
    assert server_tokens("strongreject", SERVER, 100, 500) == JudgeTokens(100, 150_000, 51_200)
    assert server_tokens("strongreject", {**SERVER, "max_new_tokens": 20}, 100, 500).written == 2_000
    panel = {"judges": ["refusal-phrases", {"strongreject": SERVER}, {"qwen3guard": SERVER}]}
    assert server_tokens("panel", panel, 100, 500) == JudgeTokens(200, 300_000, 51_200 + 6_400)
