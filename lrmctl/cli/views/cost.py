"""Hours and money of a plan as lines of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrmctl.planning import render as words
from lrmctl.planning.cost import INSTRUCTIONS

if TYPE_CHECKING:
    from lrmctl.planning.cost import CostEstimate, JudgeTokens
    from lrmctl.planning.prices import Prices

UNKNOWN = "not known"
_STATE = "state --price {}=N, or LRMCTL_PRICES"


def rows(cost: CostEstimate) -> list[tuple[str, str, str]]:
    """Name, figure and where it comes from; money only as far as prices are stated."""
    most = "at most " if cost.at_most else ""
    found = [("hours", UNKNOWN if cost.hours is None else f"{most}{cost.hours:.2f}", cost.hours_from)]
    if cost.hours is not None:
        found.append(
            ("GPU hours", f"{most}{cost.gpu_hours:.2f}", f"{cost.gpus} GPU(s)" if cost.gpus else "none is used")
        )
    found.append(_gpus(cost, most))
    return [*found, *judge_rows(cost.judges, cost.judge_money, cost.prices), *_sum(cost)]


def _gpus(cost: CostEstimate, most: str) -> tuple[str, str, str]:
    if cost.gpu_money is not None:
        price = f"at {cost.prices.amount(cost.prices.gpu_hour)} per GPU hour" if cost.prices.gpu_hour else ""
        return ("GPUs cost", f"{most}{cost.prices.amount(cost.gpu_money)}", price)
    why = "the hours are not known" if cost.hours is None else _STATE.format("gpu_hour")
    return ("GPUs cost", UNKNOWN, why)


def judge_rows(judges: JudgeTokens | None, money: float | None, prices: Prices) -> list[tuple[str, str, str]]:
    """Tokens and money of judges on servers; nothing if there are none."""
    if judges is None:
        return [("judges on servers", UNKNOWN, "the number of calls is not known yet")]
    if not judges.calls:
        return []
    each = (judges.read // judges.calls, judges.written // judges.calls)
    told = f"{words.number(judges.calls)} calls; each reads at most {each[0]:,} tokens ({INSTRUCTIONS:,} of them"
    told += f" assumed for its question) and writes at most {each[1]:,}"
    tokens = f"at most {words.number(judges.read)} + {words.number(judges.written)}"
    cost = UNKNOWN if money is None else f"at most {prices.amount(money)}"
    why = _STATE.format("judge_in") + ", and judge_out" if money is None else "those on servers; others take GPU hours"
    return [("judge tokens, read + written", tokens, told), ("judges cost", cost, why)]


def _sum(cost: CostEstimate) -> list[tuple[str, str, str]]:
    if cost.money is None or not (cost.judges and cost.judges.calls):
        return []
    return [("together", f"at most {cost.prices.amount(cost.money)}", "")]
