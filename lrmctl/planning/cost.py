"""Hours and money of a plan, from what is known and stated. What is not known stays unknown, with how to get it.

A judge is priced by tokens only if it is asked on a server (`engine: {use: openai, ...}`); others run on GPUs that are
paid by the hour, or need no model. Its tokens are an upper bound: every call reads the token limit of a prompt with its
completion and `INSTRUCTIONS` more, and writes the limit of its reply.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lrmctl.errors import LrmctlError
from lrmctl.hooks import registry
from lrmctl.hooks.members import PanelMember, members_in
from lrmctl.planning.prices import Prices

INSTRUCTIONS = 1000
"""Tokens of a judge's question around what is judged; an assumption, above every template that ships."""
SHORT_REPLY = 64
"""Most tokens that a judge writes that has no option for it; as `JudgeQuery` has it."""
CHARACTERS = 3.0
"""Characters of a token where no tokenizer counts them; an assumption, as English has about four."""


@dataclass(frozen=True)
class JudgeTokens:
    """Calls of judges on servers, and their tokens, at most."""

    calls: int = 0
    read: int = 0
    written: int = 0

    def __add__(self, other: JudgeTokens) -> JudgeTokens:
        return JudgeTokens(self.calls + other.calls, self.read + other.read, self.written + other.written)

    def __mul__(self, times: int) -> JudgeTokens:
        return JudgeTokens(self.calls * times, self.read * times, self.written * times)


@dataclass(frozen=True)
class CostEstimate:
    """Hours and money.

    Attributes:
        hours: of the whole, on its GPUs; None if not known.
        gpus: used during all of the hours; 0 on CPU.
        hours_from: what the hours are known from, or how to get to know them.
        judges: None if the number of calls is not known.
        at_most: the hours are an upper bound.
    """

    hours: float | None
    gpus: int
    hours_from: str
    judges: JudgeTokens | None
    prices: Prices
    at_most: bool = False

    @property
    def gpu_hours(self) -> float | None:
        return None if self.hours is None else self.hours * self.gpus

    @property
    def gpu_money(self) -> float | None:
        return gpu_money(self.gpu_hours, self.prices)

    @property
    def judge_money(self) -> float | None:
        """At most; None if a price or the number of calls is not known."""
        return judge_money(self.judges, self.prices)

    @property
    def money(self) -> float | None:
        """The sum; None if a part of it is not known."""
        parts = (self.gpu_money, self.judge_money)
        return None if None in parts else sum(part or 0.0 for part in parts)

    def to_json(self) -> dict[str, Any]:
        judges = self.judges
        return {
            "hours": self.hours,
            "gpu_hours": self.gpu_hours,
            "hours_from": self.hours_from,
            "hours_at_most": self.at_most,
            "judge_calls_on_servers": judges.calls if judges else None,
            "judge_tokens_read_at_most": judges.read if judges else None,
            "judge_tokens_written_at_most": judges.written if judges else None,
            "gpu_money": self.gpu_money,
            "judge_money_at_most": self.judge_money,
            "money": self.money,
            "currency": self.prices.currency,
        }


def gpu_money(gpu_hours: float | None, prices: Prices) -> float | None:
    """What GPU hours cost; None if they or their price are not known, and 0 for none."""
    if gpu_hours == 0:
        return 0.0
    return None if gpu_hours is None or prices.gpu_hour is None else gpu_hours * prices.gpu_hour


def judge_money(judges: JudgeTokens | None, prices: Prices) -> float | None:
    """What judges on servers cost at most; None if a price or the number of calls is not known."""
    if judges is None or (judges.calls and (prices.judge_in is None or prices.judge_out is None)):
        return None
    return (judges.read * (prices.judge_in or 0.0) + judges.written * (prices.judge_out or 0.0)) / 1e6


def hours_at_rate(tokens: int | None, rate: float | None, gpus: int) -> float | None:
    """Hours of this many tokens at `rate` tokens a second per GPU; on CPU the rate is that of the whole machine."""
    return None if tokens is None or rate is None else tokens / (rate * max(gpus, 1)) / 3600


def server_tokens(name: str, options: Mapping[str, Any] | None, calls: int, text: int) -> JudgeTokens:
    """What a judge costs in tokens, each member of a panel counted; nothing for judges that are on no server.

    Args:
        calls: of each member, at most.
        text: tokens of a prompt and what is judged, at most.
    """
    members = members_in(name, options) or [PanelMember(name, options or {})]
    asked = [_reply_limit(member) for member in members if _on_server(member.options)]
    return total(JudgeTokens(calls, calls * (text + INSTRUCTIONS), calls * reply) for reply in asked)


def total(parts: Iterable[JudgeTokens]) -> JudgeTokens:
    return sum(parts, JudgeTokens())


def _on_server(options: Mapping[str, Any]) -> bool:
    engine = options.get("engine")
    return (engine.get("use") if isinstance(engine, Mapping) else engine) == "openai"


def _reply_limit(judge: PanelMember) -> int:
    """Most tokens of one reply: the judge's option `max_new_tokens`, or its default."""
    stated = judge.options.get("max_new_tokens")
    if stated is None:
        try:
            parameters = inspect.signature(registry.find("judge", judge.name).factory).parameters
        except (LrmctlError, TypeError, ValueError):
            return SHORT_REPLY
        stated = parameters["max_new_tokens"].default if "max_new_tokens" in parameters else SHORT_REPLY
    return stated if isinstance(stated, int) else SHORT_REPLY
