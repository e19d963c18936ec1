"""The HTTP reward service: OpenRLHF posts one rollout per call, gets a number, and every rollout is written down.

OpenRLHF hides reward errors and dies later of something else. So the service always answers with valid numbers, keeps
the real error (`failure()`), and whoever launched the training polls that and ends the run. All state belongs to
the server's event loop; scoring runs in the batcher's thread.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from lrmctl.errors import LrmctlError, RewardError
from lrmctl.recipe.schema import RewardSection
from lrmctl.rewards.batcher import Batcher
from lrmctl.rewards.compose import ComposedReward, RolloutReward
from lrmctl.rewards.http import LOOPBACK, Server, listen
from lrmctl.rewards.logs import check_names, extra_logs
from lrmctl.rewards.policy import FailurePolicy
from lrmctl.rewards.wire import decode_call, metric_of, read_call
from lrmctl.runs.append import JsonlAppender
from lrmctl.types import Trace

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response


class RewardService:
    """Serves the reward of a recipe while it is entered as a context manager.

    Args:
        section: the recipe's `reward:`.
        rollouts: JSONL file that every rollout is appended to.
        end_tokens: texts of the tokens that end a response.
        port: 0 takes a free one.
        attempt: number of this launch, written into each row.
        time_limit: seconds after which a rollout without a reward has failed; OpenRLHF itself gives up after 180.
        score_of: what dynamic filtering looks at: the whole reward, or one component.
        host: address to listen on; on any other than this machine's own the URL holds a secret.
        reached_as: name of this machine in the URL, for callers on other machines.

    Raises:
        LrmctlError: unknown reward, options that do not fit, a component named like one of OpenRLHF's own metrics;
            on entering: the port is taken, or the file of rollouts cannot be written.
    """

    def __init__(
        self,
        section: RewardSection,
        *,
        rollouts: Path,
        end_tokens: Sequence[str],
        host: str = "127.0.0.1",
        port: int = 0,
        attempt: int = 1,
        time_limit: float = 150.0,
        score_of: str = "reward",
        reached_as: str = "",
    ) -> None:
        self._reward = ComposedReward(section)
        check_names(self._reward.names)
        self._neutral = section.neutral_value
        self._path, self._end_tokens, self._attempt = rollouts, tuple(end_tokens), attempt
        self._time_limit, self._score_of = time_limit, score_of
        self._policy = FailurePolicy(section)
        self._batcher = Batcher(self._reward.score)
        self._address, self._reached_as = (host, port), reached_as or host
        # who can reach it must not be able to guess it: OpenRLHF sends no header that could carry a key
        self._secret = "" if host in LOOPBACK else f"/{secrets.token_urlsafe(16)}"
        self._started = time.monotonic()

    @property
    def url(self) -> str:
        """What goes to `--reward.remote_url`; known once the service is entered."""
        return f"http://{self._reached_as}:{self._address[1]}{self._secret}/reward"

    def failure(self) -> Exception | None:
        """The error that must end the run, as soon as there is one."""
        return self._policy.failure

    def counts(self) -> dict[str, int]:
        """Rollouts answered since the start, and how many of their rewards failed."""
        return {"rollouts": self._policy.rollouts, "failed": self._policy.failed}

    def __enter__(self) -> RewardService:
        listener = listen(*self._address)
        try:
            self._log = JsonlAppender(self._path)
        except OSError as error:
            listener.close()
            raise LrmctlError(f"cannot write rollouts: {error.strerror}", str(self._path)) from error
        self._address = (self._address[0], listener.getsockname()[1])
        self._started = time.monotonic()
        self._batcher.start()
        self._server = Server(self._app(), listener)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self._server.stop()
        self._batcher.stop()
        self._log.close()

    def _app(self) -> Starlette:
        from fastapi import FastAPI
        from starlette.responses import JSONResponse

        async def reward(request: Request) -> Response:
            return JSONResponse(await self._answer(await request.body()))

        async def health(request: Request) -> Response:  # noqa: ARG001 (a route's signature)
            return JSONResponse({"components": self._reward.names, **self.counts()})

        app = FastAPI(openapi_url=None)
        # plain routes: the bodies are ours to check, and validation by pydantic would cost more than the reward
        app.add_route(f"{self._secret}/reward", reward, methods=["POST"])
        app.add_route(f"{self._secret}/health", health, methods=["GET"])
        return app

    async def _answer(self, body: bytes) -> dict[str, Any]:
        """The reply to one call: valid, whatever happens."""
        trace, reward, metric = None, None, ""
        try:
            if self._policy.failure is None:
                call = read_call(body)
                metric = metric_of(call.label)
                trace = decode_call(*call, self._end_tokens)
                reward = await self._score(trace)
                self._record(trace, reward, metric)
        except RewardError as error:
            self._fail(trace, error.what)
        except OSError as error:
            self._policy.end(LrmctlError(f"cannot write rollouts: {error.strerror}", str(self._path)))
        except Exception as error:  # not the reward's: ours. It must reach the user all the same
            self._policy.end(error)
        return self._reply(trace, reward, metric)

    async def _score(self, trace: Trace) -> RolloutReward:
        waiting = asyncio.wrap_future(self._batcher.submit(trace))
        try:
            return await asyncio.wait_for(waiting, self._time_limit)
        except TimeoutError as error:
            names = ", ".join(self._reward.names)
            what = f"prompt {trace.prompt.id!r}: no reward from {names} within {self._time_limit:g} s"
            raise RewardError(what) from error

    def _record(self, trace: Trace, reward: RolloutReward, metric: str) -> None:
        self._write(trace, reward, reward.error, "eval" if metric else "train")
        self._policy.seen(reward.blame(trace), self._row)

    def _fail(self, trace: Trace | None, what: str) -> None:
        """A rollout that no component can be blamed for: unreadable, or too late."""
        try:
            self._write(trace, None, what)
        except OSError as error:
            self._policy.end(LrmctlError(f"cannot write rollouts: {error.strerror}", str(self._path)))
        self._policy.seen(what, self._row)

    @property
    def _row(self) -> str:
        return f"{self._path}:{self._log.rows}"

    def _write(self, trace: Trace | None, reward: RolloutReward | None, error: str, phase: str = "train") -> None:
        self._log.write(
            {
                "n": self._log.rows + 1,
                "attempt": self._attempt,
                "phase": phase,
                "seconds": round(time.monotonic() - self._started, 3),
                "prompt_id": trace.prompt.id if trace else "",
                "kind": trace.prompt.kind if trace else "",
                "prompt": trace.prompt.text if trace else "",
                "thinking": trace.thinking if trace else "",
                "answer": trace.answer if trace else "",
                "thinking_state": trace.thinking_state if trace else "",
                "finish_reason": trace.finish_reason if trace else "error",
                "reward": self._total(reward),
                "error": error,
                "components": reward.to_json() if reward else {},
            }
        )

    def _total(self, reward: RolloutReward | None) -> float:
        return self._neutral if reward is None or reward.total is None else reward.total

    def _reply(self, trace: Trace | None, reward: RolloutReward | None, metric: str) -> dict[str, Any]:
        """OpenRLHF's form. `scores`, which feed its dynamic filtering, lie in [0, 1]."""
        total = self._total(reward)
        logs = extra_logs(self._reward.names, trace, reward, total)
        value, score = (reward.metric(n, total) if reward else total for n in (metric, self._score_of))
        return {"rewards": value, "scores": min(1.0, max(0.0, score)), "extra_logs": logs}
