"""The retry policy for servers: which errors are transient, how long to wait, and how to fix the others.

Knows neither judges nor evaluations, and no request format. Backoff is per server and shared by all requests to it, so
it cannot be a retry decorator around each request.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Lock

import httpx

AGAIN = (408, 409, 425, 429)
"""Statuses below 500 that are worth a retry."""
SICK = 3
"""Consecutive errors after which the server is at fault, not the request."""
LONGEST = 8.0
"""Most seconds between two tries, unless the server asks for more."""


class TryAgainError(Exception):
    """A transient error."""


class CircuitBreaker:
    """Tracks since when a server has been failing: patience applies to the server, not to each request."""

    def __init__(self, patience: float, now: Callable[[], float] = time.monotonic) -> None:
        self._patience, self._now, self._lock = patience, now, Lock()
        self._since: float | None = None
        self._latest = 0.0

    def failed(self) -> None:
        with self._lock:
            now = self._now()
            if self._since is None or now - self._latest > self._patience + 60:  # no requests in between
                self._since = now
            self._latest = now

    def ended(self) -> None:
        with self._lock:
            self._since = None

    @property
    def lasts(self) -> float | None:
        """Seconds since the first failure; None for a working server."""
        with self._lock:
            return None if self._since is None else self._now() - self._since


class RateLimiter:
    """Limits requests per minute, evenly spaced."""

    def __init__(self, per_minute: int | None) -> None:
        self._gap = 60 / per_minute if per_minute else 0.0
        self._lock, self._next = Lock(), 0.0

    def reserve(self) -> float:
        """Reserve the next place; returns the seconds until it comes."""
        if not self._gap:
            return 0.0
        with self._lock:
            now = time.monotonic()
            mine = max(now, self._next)
            self._next = mine + self._gap
        return mine - now


@dataclass
class Server:
    """The known state of one server.

    Attributes:
        rest: monotonic time in seconds until which it is paused.
        away: it could not be reached; a probe comes before any work.
        errors: consecutive errors.
    """

    url: str
    breaker: CircuitBreaker
    rest: float = 0.0
    away: bool = False
    errors: int = 0

    @property
    def place(self) -> str:
        return place_of(self.url)

    @property
    def resting(self) -> bool:
        return self.away or self.rest > time.monotonic()

    def failed(self, after: float, away: bool) -> None:
        """Record a failure; requests in progress at the same time count as one."""
        self.breaker.failed()
        now = time.monotonic()
        self.away |= away
        if self.rest > now and not after:
            return
        self.errors += 1
        if after or away or self.errors >= SICK:
            self.rest = max(self.rest, now + max(after, pause_after(self.errors)))

    def answered(self) -> None:
        self.breaker.ended()
        self.away, self.errors = False, 0

    def given_up(self, patience: float) -> bool:
        """Whether it has been down for too long, or announces that it will be."""
        lasts = self.breaker.lasts
        rest = self.rest - time.monotonic()
        return (lasts is not None and lasts >= patience) or (rest > LONGEST and (lasts or 0.0) + rest > patience)


def pause_after(tries: int) -> float:
    """Seconds to wait after this many failed tries: growing and jittered, 8 at most."""
    return float(min(LONGEST, 0.25 * 2 ** min(max(tries, 1), 10)) * random.uniform(0.5, 1.0))


def retry_after(answer: httpx.Response) -> float:
    """The header's seconds, which may be given as a date; 0 if it is missing or unreadable."""
    said = answer.headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(said))
    except ValueError:
        pass
    try:
        there = answer.headers.get("date")  # the server's clock, not ours
        now = parsedate_to_datetime(there) if there else datetime.now(UTC)
        return max(0.0, (parsedate_to_datetime(said) - now).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def place_of(url: str) -> str:
    """Host and port of an address, without its path and any secrets in it."""
    parts = httpx.URL(url)
    return f"{parts.host}:{parts.port or ''}".rstrip(":")


def named(error: Exception) -> str:
    """An exception as text; httpx leaves many without a message."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def key_of(variable: str | None) -> str:
    """The key in an environment variable; empty if no variable is named, or it is not set."""
    return os.environ.get(variable, "").strip() if variable else ""


def refused(whose: str, status: int, words: str, *, model: str, variable: str | None) -> str:
    """How to fix an error that a retry does not.

    Args:
        whose: e.g. "the server at HOST".
        words: the server's own message.
        variable: environment variable of the key, if one is used.
    """
    key = f"check the key in {variable}" if variable else "name the variable that holds the key as `api_key_env`"
    fixes = {
        401: key,
        403: key,
        404: f"check `base_url` (it ends with the version, /v1) and the model's name {model!r}",
        **dict.fromkeys((400, 422), "a key that the server does not know is left out by `extra_body: {key: null}`"),
    }
    return f"{whose} answers {status}: {words}" + (f"; {fixes[status]}" if status in fixes else "")


_TOO_LONG = re.compile(
    r"context[ _-]?(?:length|size|window)|exceed_context|maximum (?:model|input|prompt|sequence) length|"
    r"max_model_len|must have less than \d+ tokens|tokens \+ `?max_new_tokens|(?:prompt|input) is too long|"
    r"too many (?:input |prompt )?tokens|longer than the (?:maximum|model)|(?:input|prompt) token count|"
    r"exceeds the maximum number of tokens",
    re.IGNORECASE,
)


def is_too_long(status: int, words: str) -> bool:
    """Whether a server rejects a request for its length. Known are vLLM, SGLang, TGI, llama.cpp, OpenAI and others."""
    return status == 413 or (status in (400, 422) and _TOO_LONG.search(words) is not None)
