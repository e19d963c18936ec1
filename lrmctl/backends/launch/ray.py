"""Jobs of a running Ray cluster, through Ray's own job API: submitted, followed and stopped over HTTP.

The run folder, the model and the Python environment must be at the same paths on every node. Ray is imported inside the
functions. A job outlives an lrmctl that was killed; its id is in the run's status.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lrmctl.backends.launch.base import POLL_INTERVAL_S, Launcher
from lrmctl.backends.launch.job import JobState, LaunchJob, Record, State
from lrmctl.backends.launch.supervisor import TEMP
from lrmctl.errors import BackendError, LrmctlError

_AGENT_TIMEOUT_S = 60.0
_JOB_POLL_INTERVAL_S = 1.0
_FORWARDED_VARIABLES = ("RAY_DEDUP_LOGS", "RAY_OVERRIDE_JOB_RUNTIME_ENV")
_JOB_CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Ray's variable with the configuration of a job, as JSON: what its driver and actors start with."""
_ADDRESSES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")


_STATES: Mapping[str, State] = {
    "PENDING": "waiting",
    "RUNNING": "running",
    "SUCCEEDED": "done",
    "FAILED": "failed",
    "STOPPED": "failed",
}


class RayJobs(Launcher):
    """The jobs of one cluster.

    Args:
        address: of the dashboard; RAY_API_SERVER_ADDRESS by default.
        runtime_env: Ray's, for every job.
    """

    several_nodes = True
    poll_interval = 1.0

    def __init__(self, *, address: str | None = None, **runtime_env: Any) -> None:
        self._address = address or os.environ.get("RAY_API_SERVER_ADDRESS", "")
        self._options: Mapping[str, Any] = runtime_env

    def check(self) -> None:
        if not self._address:
            raise LrmctlError(
                "which Ray cluster is not said", "launch.address", "--address http://HEAD:8265 (its dashboard)"
            )
        self._client()

    def record(self, job: LaunchJob) -> Record:
        return {"id": job.id, "address": self._address}

    def submit(self, job: LaunchJob) -> Record:
        self._submit(self._client(), job.id, self._request(job, job.cwd / "temp"))
        return self.record(job)

    def state(self, record: Record) -> JobState:
        client, name = self._client(str(record["address"])), str(record["id"])
        try:
            info = client.get_job_info(name)
        except RuntimeError as error:
            if "status code 404" not in str(error):
                raise
            return JobState("gone", f"Ray forgot job {name}")
        status = str(getattr(info.status, "value", info.status))
        reason = f"Ray job {name}: {' ... '.join(_ends(info.message or '') or [status])}"
        if status not in ("FAILED", "STOPPED"):
            return JobState(_STATES[status], reason)
        return JobState("failed", reason, 143 if status == "STOPPED" else info.driver_exit_code or 1)

    def cancel(self, record: Record) -> None:
        with contextlib.suppress(LrmctlError):
            _stop(self._client(str(record["address"])), str(record["id"]))

    @contextlib.contextmanager
    def follow(self, record: Record, job: LaunchJob) -> Iterator[Callable[[], None]]:
        follower = _LogFollower(self._client(), str(record["id"]), job.log)
        follower.start()
        try:
            yield lambda: None  # it is sent the output
        finally:
            follower.finish()
            shutil.rmtree(job.cwd / "temp", ignore_errors=True)

    def is_running(self, record: Record) -> bool:
        """Whether the job is running; a cluster that does not answer counts as gone, and its jobs with it."""
        try:
            return super().is_running(record)
        except (LrmctlError, RuntimeError):
            return False

    @property
    def address(self) -> str:
        """Of the cluster's dashboard."""
        return self._address

    def nodes(self) -> list[dict[str, float]]:
        """The resources of every node that is alive, e.g. `{"CPU": 8.0, "GPU": 4.0}`.

        Raises:
            LrmctlError: the cluster does not answer.
        """
        from ray.util.state import list_nodes
        from ray.util.state.exception import RayStateApiException

        alive: list[Any] = [("state", "=", "ALIVE")]
        try:
            with _without(_ADDRESSES):  # dead nodes count as missing output
                found = list_nodes(address=self._address, filters=alive, limit=10_000, raise_on_missing_output=False)
        except RayStateApiException as error:
            what = f"the Ray cluster at {self._address} does not tell its nodes: {_first_line(error)}"
            raise LrmctlError(what, "launch.address", "see that its dashboard works") from None
        return [dict(node.resources_total or {}) for node in found]

    def submit_command(self, name: str, entrypoint: str, env: Mapping[str, str], **wanted: Any) -> None:
        """Submit a shell command as a job; returns at once.

        Args:
            name: the job's id, which must be new.
            env: variables added to those of `options: {env_vars: ...}`, which win.
            wanted: resources of the command's own process, as Ray's client names them.
        """
        theirs = self._options.get("env_vars") or {}
        runtime_env = {**self._options, "env_vars": {**env, **theirs}}
        self._submit(self._client(), name, {"entrypoint": entrypoint, "runtime_env": runtime_env, **wanted})

    def stop_command(self, record: Record) -> str:
        return shlex.join(["ray", "job", "stop", str(record["id"]), "--address", str(record["address"])])

    def preview(self, job: LaunchJob) -> str:
        request = self._request(job, job.cwd / "temp")
        env = "".join(f"  {key}={value}\n" for key, value in request["runtime_env"]["env_vars"].items())
        return f"job of the Ray cluster at {self._address}\n{env}  {request['entrypoint']}\n"

    def _client(self, address: str = "") -> Any:
        """A client for the configured address; Ray would let two environment variables override it."""
        from ray.job_submission import JobSubmissionClient

        address = address or self._address
        with _without(_ADDRESSES):
            try:
                return JobSubmissionClient(address)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise LrmctlError(
                    f"no Ray cluster answers at {address}: {_first_line(error)}",
                    "launch.address",
                    "give the dashboard of the head node, e.g. http://HEAD:8265; `ray start --head` starts one",
                ) from None

    def _submit(self, client: Any, name: str, request: Mapping[str, Any]) -> None:
        """Submit a job; the agent that starts it may come up some time after the dashboard."""
        end = time.monotonic() + _AGENT_TIMEOUT_S
        while True:
            try:
                client.submit_job(submission_id=name, **request)
                return
            except (RuntimeError, OSError) as error:
                if "No available agent" not in str(error) or time.monotonic() > end:
                    what = f"the Ray cluster at {self._address} does not take the job: {_first_line(error)}"
                    raise BackendError(what, fix="see `launch.options` and the cluster's dashboard") from None
            time.sleep(_JOB_POLL_INTERVAL_S)

    def _request(self, job: LaunchJob, temp: Path) -> dict[str, Any]:
        env = _of_the_cluster(job.env, temp)
        theirs = self._options.get("env_vars") or {}
        alone = job.kind != "rl"  # trains in the job's own process, which must be on the node with the GPUs
        return {
            "entrypoint": f"cd {shlex.quote(str(job.cwd))} && exec {shlex.join(job.argv)}",
            "runtime_env": {**self._options, "env_vars": {**env, **theirs}},
            **({"entrypoint_num_gpus": job.gpus} if alone and job.gpus else {}),
        }


def env_in_a_job(env: Mapping[str, str], temp: Path) -> dict[str, str]:
    """Variables for a trainer that is started inside a job of a cluster, and for all its actors.

    Args:
        temp: folder for temporary files that all nodes share.
    """
    own = _of_the_cluster(env, temp)
    config = json.loads(os.environ.get(_JOB_CONFIG, "{}"))
    runtime_env = dict(config.get("runtime_env") or {})
    runtime_env["env_vars"] = {**(runtime_env.get("env_vars") or {}), **own}
    return {**own, _JOB_CONFIG: json.dumps({**config, "runtime_env": runtime_env})}


def _of_the_cluster(env: Mapping[str, str], temp: Path) -> dict[str, str]:
    """Variables of a trainer that uses a cluster which is there, without those of a Ray of its own."""
    kept = {k: v for k, v in env.items() if not k.startswith("RAY_") or k in _FORWARDED_VARIABLES}
    kept = {key: value.replace(TEMP, str(temp)) for key, value in kept.items()}
    return {**kept, "RAY_OVERRIDE_JOB_RUNTIME_ENV": "1"}  # OpenRLHF gives variables of its own to ray.init


class _LogFollower(threading.Thread):
    """Appends a job's output to a file as it arrives; continues where it was cut off if the connection breaks."""

    def __init__(self, client: Any, job: str, log: Path) -> None:
        super().__init__(name="lrmctl-ray-logs", daemon=True)
        self._client, self._job, self._log = client, job, log
        self._written, self._ended = 0, threading.Event()

    def run(self) -> None:
        asyncio.run(self._follow())

    def finish(self) -> None:
        """Wait for the end of the stream, then fetch whatever it did not deliver."""
        self._ended.set()
        if self.ident is None:
            return
        self.join(10.0)
        with contextlib.suppress(RuntimeError, OSError):
            self._write(self._client.get_job_logs(self._job).encode("utf-8", "replace")[self._written :])

    async def _follow(self) -> None:
        import aiohttp

        while True:
            with contextlib.suppress(RuntimeError, OSError, aiohttp.ClientError):
                await self._stream()
                return
            if self._ended.is_set():
                return
            await asyncio.sleep(_JOB_POLL_INTERVAL_S)

    async def _stream(self) -> None:
        seen = 0
        async for text in self._client.tail_job_logs(self._job):
            data = text.encode("utf-8", "replace")
            seen += len(data)
            if seen > self._written:
                self._write(data[-(seen - self._written) :])

    def _write(self, data: bytes) -> None:
        with self._log.open("ab") as out:
            out.write(data)
        self._written += len(data)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _stop(client: Any, name: str, patience: float = 30.0) -> None:
    """Stop a job that is still running, and wait until it has ended."""
    end = time.monotonic() + patience
    with contextlib.suppress(RuntimeError, OSError):
        if not client.get_job_status(name).is_terminal():
            client.stop_job(name)
        while not client.get_job_status(name).is_terminal() and time.monotonic() < end:
            time.sleep(POLL_INTERVAL_S)


def _ends(message: str) -> list[str]:
    """The first and the last line of Ray's message: what happened, and why."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return lines if len(lines) < 2 else [lines[0], lines[-1]]


@contextlib.contextmanager
def _without(names: tuple[str, ...]) -> Iterator[None]:
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)
