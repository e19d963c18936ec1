"""Questions answered by any OpenAI-compatible server: many at a time, with patience for a server that is down.

A server that is away, busy or broken is asked again with growing, jittered pauses until it has been so for
`patience` seconds; only then does a question fail. What asking again cannot mend (a wrong key, an unknown model, a
question too long) fails at once and says what to do. Knows no judge.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from threading import Event, Lock
from typing import Any

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential
from tenacity.nap import sleep_using_event

from lrmctl.engines.chat import Ask, Reply
from lrmctl.engines.openai_form import read_reply, request_of, told_error
from lrmctl.engines.options import OpenAiOptions
from lrmctl.errors import JudgeError

_AGAIN = (408, 409, 425, 429)
_backoff = wait_random_exponential(multiplier=0.5, max=8)


class OpenAiChat:
    """A model behind a server.

    Args:
        model: the name that the server knows it by.
    """

    reserved: tuple[str, ...] = ()  # a server does not tell its model's control tokens

    def __init__(self, model: str, options: OpenAiOptions) -> None:
        self._model, self._options = model, options
        self._outage = _Outage(options.patience)
        self._pace = _Pace(options.requests_per_minute)

    @property
    def identity(self) -> str:
        return f"openai:{self._model.rstrip('/').rpartition('/')[2] if self._model[:1] in '/.~' else self._model}"

    @property
    def parallel(self) -> int:
        """Calls of `ask` at the same time: a server batches by itself, and a call must not wait for a slow other."""
        return self._options.concurrency

    def prepare(self) -> None:
        """Nothing is loaded and nobody is contacted; raises JudgeError if the key's variable is not set."""
        self._headers()

    def ask(self, asks: Sequence[Ask]) -> list[Reply]:
        """One reply per question, in order.

        Raises:
            JudgeError: the environment variable with the key is not set.
        """
        headers, stop = self._headers(), Event()
        futures: list[Future[Reply]] = [self._pool.submit(self._one, ask, headers, stop) for ask in asks]
        try:
            return [future.result() for future in futures]
        except BaseException:  # Ctrl-C: what is under way must not keep the process alive for its patience
            stop.set()
            for future in futures:
                future.cancel()
            raise

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._options.concurrency, thread_name_prefix="judge-server")

    @cached_property
    def _client(self) -> httpx.Client:
        most = self._options.concurrency
        limits = httpx.Limits(max_connections=most, max_keepalive_connections=most)
        timeout = httpx.Timeout(self._options.timeout, connect=min(10.0, self._options.timeout))
        return httpx.Client(limits=limits, timeout=timeout)

    def _headers(self) -> dict[str, str]:
        if (name := self._options.api_key_env) is None:
            return {}
        if not (key := os.environ.get(name, "").strip()):
            what = f"the key of the judge's server is not there: the environment variable {name} is not set"
            raise JudgeError(what, "engine.api_key_env", f"export {name}=... where lrmctl is started")
        return {"Authorization": f"Bearer {key}"}

    def _one(self, ask: Ask, headers: dict[str, str], stop: Event) -> Reply:
        path, body = request_of(self._model, ask, self._options.top_logprobs, self._options.extra_body)
        address = self._options.base_url.rstrip("/") + path
        retrying = Retrying(
            retry=retry_if_exception_type(_TryAgainError),
            wait=_wait,
            stop=lambda state: stop.is_set() or self._outage.over(state),
            sleep=sleep_using_event(stop),
            reraise=True,
        )
        try:
            return retrying(self._post, ask, address, body, headers, stop)
        except _TryAgainError as error:
            tries = retrying.statistics.get("attempt_number", 1)
            return Reply(error=f"{error} (asked {tries} {'time' if tries == 1 else 'times'})")
        except httpx.HTTPError as error:
            return Reply(error=f"the judge's server cannot be asked: {type(error).__name__}: {error}")

    def _post(self, ask: Ask, address: str, body: dict[str, Any], headers: dict[str, str], stop: Event) -> Reply:
        self._pace.wait(stop)
        try:
            answer = self._client.post(address, json=body, headers=headers)
        except (httpx.TransportError, httpx.DecodingError) as error:
            self._outage.failed()
            place = f"{httpx.URL(address).host}:{httpx.URL(address).port or ''}".rstrip(":")
            raise _TryAgainError(f"the judge's server at {place} does not answer: {_named(error)}") from error
        words, inside = told_error(answer.content)
        status = inside if answer.status_code == 200 and inside else answer.status_code
        if status in _AGAIN or status >= 500:
            self._outage.failed()
            what = f"the judge's server answers {status}" + (f": {words}" if words else "")
            raise _TryAgainError(what, _retry_after(answer))
        self._outage.ended()
        if status != 200:
            return Reply(error=self._refused(status, words or repr(answer.text[:120])))
        return read_reply(ask, answer.content)

    def _refused(self, status: int, words: str) -> str:
        """What to do about an answer that will not change by asking again."""
        variable = self._options.api_key_env
        key = f"check the key in {variable}" if variable else "name the variable that holds the key as `api_key_env`"
        fixes = {
            401: key,
            403: key,
            404: f"check `base_url` (it ends with the version, /v1) and the model's name {self._model!r}",
            400: "a key that the server does not know is left out by `extra_body: {key: null}`",
        }
        return f"the judge's server answers {status}: {words}" + (f"; {fixes[status]}" if status in fixes else "")


class _TryAgainError(Exception):
    """What may go away by itself.

    Attributes:
        after: seconds that the server wants to be left alone; 0 if it does not say.
    """

    def __init__(self, what: str, after: float = 0.0) -> None:
        super().__init__(what)
        self.after = after


class _Outage:
    """Since when a server gives no answers: patience is with the server, not with each of a thousand questions."""

    def __init__(self, patience: float, now: Callable[[], float] = time.monotonic) -> None:
        self._patience, self._now, self._lock = patience, now, Lock()
        self._since: float | None = None
        self._latest = 0.0

    def failed(self) -> None:
        with self._lock:
            now = self._now()
            if self._since is None or now - self._latest > self._patience + 60:  # nobody asked meanwhile
                self._since = now
            self._latest = now

    def ended(self) -> None:
        with self._lock:
            self._since = None

    def over(self, state: RetryCallState) -> bool:
        """Whether a question that just failed is given up: patience is over, or would be before it may be put again."""
        with self._lock:
            waited = 0.0 if self._since is None else self._now() - self._since
        waited = max(waited, state.seconds_since_start or 0.0)
        error = state.outcome.exception() if state.outcome else None
        after = error.after if isinstance(error, _TryAgainError) else 0.0
        return waited >= self._patience or waited + after > self._patience


class _Pace:
    """At most so many requests a minute, evenly spaced."""

    def __init__(self, per_minute: int | None) -> None:
        self._gap = 60 / per_minute if per_minute else 0.0
        self._lock, self._next = Lock(), 0.0

    def wait(self, stop: Event) -> None:
        if not self._gap:
            return
        with self._lock:
            now = time.monotonic()
            mine = max(now, self._next)
            self._next = mine + self._gap
        stop.wait(mine - now)


def _wait(state: RetryCallState) -> float:
    """Seconds to the next try: as long as the server wants, else growing and jittered, 8 at most."""
    error = state.outcome.exception() if state.outcome else None
    after = error.after if isinstance(error, _TryAgainError) else 0.0
    return max(after, _backoff(state))


def _retry_after(answer: httpx.Response) -> float:
    """The header's seconds, which may be written as a date; 0 if there is none or it cannot be read."""
    said = answer.headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(said))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
