"""The HTTP reward service from the trainer's side: a URL, counts, and the error that must end the run.

OpenRLHF hides reward errors and later fails with another error. So the service always answers with valid numbers, keeps
the real error (`failure()`), and whoever launched the training polls that and ends the run.

Three kinds of processes: this one opens the socket and starts the service process on it, again if it dies; that one
serves and starts scorers, again if they hang or die. The socket never closes, so calls wait while a new service process
starts.
"""

from __future__ import annotations

import os
import re
import secrets
import select
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal

from lrmctl._util.child_process import ChildProcess, how_it_ended
from lrmctl.errors import LrmctlError, RewardError
from lrmctl.recipe.schema.recipes import RewardSection
from lrmctl.rewards.compose import ComposedReward
from lrmctl.rewards.service.config import ServiceSpec
from lrmctl.rewards.service.logs import check_names
from lrmctl.rewards.service.sockets import listen

MAX_DEATHS, DEATH_WINDOW_S = 5, 60.0
"""This many deaths of the service within this many seconds end the run."""
SHUTDOWN_TIMEOUT_S = 6.0
"""Seconds that the service has to shut down."""
_PROCESS = "lrmctl.rewards.service.process:run"


class RewardService:
    """Serves the reward of a recipe while entered as a context manager. Entering does not wait until it is ready.

    Args:
        section: the recipe's `reward:`.
        rollouts: JSONL file that every rollout is appended to.
        end_tokens: texts of the tokens that end a response.
        port: 0 chooses a free one.
        attempt: number of this launch, written into each row.
        time_limit: overrides the recipe's `service.time_limit`.
        score_of: the quantity used by dynamic filtering: the whole reward, or one component.
        host: address to listen on.
        reached_as: name of this machine in the URL, for callers on other machines.
        token: required from callers, in the path or as `Authorization: Bearer`; generated if none is given.
        samples: samples of one prompt that form a group, by phase (`train`, `eval`).
        baseline, step: what advantages compare a reward with, and rollouts of a step; see `ServiceSpec`.
        tokenizer: folder of the model whose tokenizer counts the tokens of thinking and answer.
        log: file for the output of rewards; this process's stderr by default.
        limits: other fields of `ServiceSpec`.

    Raises:
        LrmctlError: unknown reward, invalid options, a component named like one of OpenRLHF's own metrics; on entering:
            the port is taken, or the file of rollouts cannot be written.
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
        time_limit: float | None = None,
        score_of: str = "reward",
        reached_as: str = "",
        token: str = "",
        samples: Mapping[str, int] | None = None,
        baseline: Literal["group", "step"] = "group",
        step: int = 0,
        tokenizer: Path | None = None,
        log: Path | None = None,
        **limits: int,
    ) -> None:
        composed = ComposedReward(section)  # can it be made? the scorers make their own
        check_names(composed.names)
        # whoever can reach the service must not be able to guess it
        _check_token(token)
        token = token or secrets.token_urlsafe(16)
        seconds = section.service.time_limit if time_limit is None else time_limit
        self._spec = ServiceSpec(
            section,
            rollouts,
            tuple(end_tokens),
            attempt,
            seconds,
            score_of,
            token,
            dict(samples or {}),
            baseline,
            step,
            tokenizer,
            log=log,
            names=(host, reached_as),
            compared_kinds=composed.compared_kinds,
            **limits,
        )
        self._address, self._reached_as = (host, port), reached_as or host
        self._failure: Exception | None = None
        self._counts = (0, 0)
        self._child: ChildProcess | None = None
        self._lock = threading.RLock()
        self._stopping = threading.Event()

    @property
    def url(self) -> str:
        """The value of `--reward.remote_url`; known once the service is entered."""
        return f"{self.base}/{self._spec.token}/reward"

    @property
    def base(self) -> str:
        """The URL without a path."""
        host = f"[{self._reached_as}]" if ":" in self._reached_as else self._reached_as
        return f"http://{host}:{self._address[1]}"

    @property
    def token(self) -> str:
        return self._spec.token

    @property
    def pid(self) -> int:
        """The current service process; 0 if there is none."""
        return self._child.process.pid if self._child else 0

    def failure(self) -> Exception | None:
        """The error that must end the run, once there is one."""
        self._hear()
        return self._failure

    def counts(self) -> dict[str, int]:
        """Rollouts answered since the start, and how many of their rewards failed."""
        self._hear()
        return dict(zip(("rollouts", "failed"), self._counts, strict=True))

    def __enter__(self) -> RewardService:
        self._listener = listen(*self._address)
        try:
            _touch(self._spec.rollouts)
        except OSError as error:
            self._listener.close()
            raise LrmctlError(f"cannot write rollouts: {error.strerror}", str(self._spec.rollouts)) from error
        self._address = (self._address[0], self._listener.getsockname()[1])
        self._began = time.monotonic()
        started = threading.Event()
        # processes die with the thread that made them: this one lives as long as the service is entered
        self._thread = threading.Thread(target=self._supervise, args=(started,), name="lrmctl-service", daemon=True)
        self._thread.start()
        started.wait()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self._stopping.set()
        with suppress(OSError):
            if self._child is not None:
                self._child.pipe.send("stop")
        self._thread.join(SHUTDOWN_TIMEOUT_S + 5)
        self._listener.close()

    def _supervise(self, started: threading.Event) -> None:
        deaths: deque[float] = deque(maxlen=MAX_DEATHS)
        while not self._stopping.is_set():
            try:
                child = self._start()
            except OSError as error:
                self._failure = LrmctlError(f"the reward service cannot be started: {error.strerror}")
                started.set()
                return
            started.set()
            self._follow(child)
            code = child.end(SHUTDOWN_TIMEOUT_S)
            child.close()
            deaths.append(time.monotonic())
            if len(deaths) == MAX_DEATHS and deaths[-1] - deaths[0] < DEATH_WINDOW_S and not self._stopping.is_set():
                what = (
                    f"the reward service {how_it_ended(code)}, {MAX_DEATHS} times within {deaths[-1] - deaths[0]:.0f} s"
                )
                where = str(self._spec.log or "")
                self._failure = self._failure or RewardError(what, where, "look for its last words in the log")
                return

    def _start(self) -> ChildProcess:
        child = ChildProcess(
            "lrmctl-reward-service", _PROCESS, (self._spec, self._began), sockets=[self._listener], log=self._spec.log
        )
        with self._lock:
            self._child = child
        if self._stopping.is_set():  # started after the stop request, which it has not received
            with suppress(OSError):
                child.pipe.send("stop")
        return child

    def _follow(self, child: ChildProcess) -> None:
        """Read the service's messages until its pipe closes, or until its time to shut down is over."""
        patience: float | None = None
        while self._hear():
            if self._stopping.is_set():
                patience = patience or time.monotonic() + SHUTDOWN_TIMEOUT_S
                if time.monotonic() > patience:
                    return
            select.select([child.pipe], [], [], 0.5)

    def _hear(self) -> bool:
        """Handle the service's messages; False once its pipe is closed."""
        with self._lock:
            if self._child is None:
                return False
            pipe = self._child.pipe
            try:
                while pipe.poll():
                    match pipe.recv():
                        case ("counts", rollouts, failed):
                            self._counts = (rollouts, failed)
                        case ("failure", error):
                            self._failure = self._failure or error
            except (EOFError, OSError):
                return False
            return True


def _check_token(token: str) -> None:
    """Raises LrmctlError for a token that is not valid in a URL's path."""
    if not re.fullmatch(r"[A-Za-z0-9._~-]*", token):
        raise LrmctlError("the token has characters that cannot stand in a URL", fix="letters, digits and -._~")


def _touch(path: Path) -> None:
    """Check that the file can be written.

    Raises:
        OSError: it cannot.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666))
