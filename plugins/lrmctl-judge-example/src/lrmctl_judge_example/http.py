"""One request with its retries. Knows no traces and no verdicts."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import httpx

FIRST_WAIT = 0.5
"""Seconds before the first further try; each one after it waits twice as long."""
LONGEST_WAIT = 30.0
"""Most seconds before a further try, also where the endpoint asks for more."""


def ask(client: httpx.Client, url: str, question: Mapping[str, Any], headers: Mapping[str, str], retries: int) -> Any:
    """The JSON of the endpoint's reply.

    Raises:
        httpx.HTTPError: no reply, or a status other than 2xx, after all tries.
        ValueError: the reply is not JSON.
    """
    for attempt in range(retries + 1):
        last = attempt == retries
        try:
            reply = client.post(url, json=question, headers=headers)
        except httpx.TransportError:
            if last:
                raise
            time.sleep(_wait(attempt))
            continue
        if not last and (reply.status_code == 429 or reply.status_code >= 500):
            time.sleep(_wait(attempt, reply.headers.get("Retry-After", "")))
            continue
        return reply.raise_for_status().json()
    raise AssertionError("unreachable: the last try returns or raises")


def _wait(attempt: int, asked: str = "") -> float:
    seconds = float(asked) if asked.isdecimal() else FIRST_WAIT * 2**attempt
    return min(seconds, LONGEST_WAIT)
