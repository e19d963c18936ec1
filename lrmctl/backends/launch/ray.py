"""Jobs of a running Ray cluster, through Ray's own job API: submitted, followed and stopped over HTTP.

The run folder, the model and the Python environment must be at the same paths on every node. Ray is imported inside the
functions. A job outlives an lrmctl that was killed; its id is in the run's status.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shlex
import shutil
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lrmctl._util.tail import FileTail
from lrmctl.backends.launch.base import POLL_INTERVAL_S, Abort, LaunchJob, OnLines, OnStarted, raise_if
from lrmctl.backends.launch.supervisor import TEMP
from lrmctl.errors import BackendError, LrmctlError

_SILENCE_TIMEOUT_S = 300.0
"""Seconds without an answer from the cluster after which the run is given up."""
_AGENT_TIMEOUT_S = 60.0
_JOB_POLL_INTERVAL_S = 1.0
_FORWARDED_VARIABLES = ("RAY_DEDUP_LOGS", "RAY_OVERRIDE_JOB_RUNTIME_ENV")
_JOB_CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Ray's variable with the configuration of a job, as JSON: what its driver and actors start with."""
_ADDRESSES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")


class RayJobs:
    """The jobs of one cluster.

    Args:
        section: `address` of the dashboard (RAY_API_SERVER_ADDRESS by default), `options` as a Ray runtime_env.
    """

    def __init__(self, section: Mapping[str, Any]) -> None:
        self._address = section.get("address") or os.environ.get("RAY_API_SERVER_ADDRESS", "")
        self._options: Mapping[str, Any] = section.get("options") or {}

    def check(self) -> None:
        if not self._address:
            raise LrmctlError(
                "which Ray cluster is not said", "launch.address", "--address http://HEAD:8265 (its dashboard)"
            )
        self._client()

    def run(self, job: LaunchJob, on_lines: OnLines, abort: Abort, on_started: OnStarted) -> int:
        client, tail = self._client(), FileTail(job.log, from_end=True)
        name = f"lrmctl-{re.sub(r'[^A-Za-z0-9_-]+', '-', job.name)}-{uuid.uuid4().hex[:8]}"
        on_started({"via": "ray", "id": name, "address": self._address})
        temp = job.cwd / "temp"
        follower = _LogFollower(client, name, job.log)
        try:
            self._submit(client, name, self._request(job, temp))
            follower.start()
            self._wait(client, name, tail, on_lines, abort)
        finally:
            _stop(client, name)
            follower.finish()
            shutil.rmtree(temp, ignore_errors=True)
        code = _exit_code(client, name, job.log)
        on_lines(tail.lines())
        return code

    def is_running(self, started: Mapping[str, Any]) -> bool:
        """Whether the job is running; a cluster that does not answer counts as gone, and its jobs with it."""
        try:
            client = self._client(str(started["address"]))
            return not client.get_job_status(started["id"]).is_terminal()
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

    def submit(self, name: str, entrypoint: str, env: Mapping[str, str], **wanted: Any) -> None:
        """Submit a shell command as a job; returns at once.

        Args:
            name: the job's id, which must be new.
            env: variables added to those of `options: {env_vars: ...}`, which win.
            wanted: resources of the command's own process, as Ray's client names them.
        """
        theirs = self._options.get("env_vars") or {}
        runtime_env = {**self._options, "env_vars": {**env, **theirs}}
        self._submit(self._client(), name, {"entrypoint": entrypoint, "runtime_env": runtime_env, **wanted})

    def status(self, started: Mapping[str, Any]) -> tuple[str, str]:
        """Ray's status of a job and its message; both empty if the cluster knows no such job.

        Raises:
            OSError, RuntimeError, LrmctlError: the cluster does not answer.
        """
        client = self._client(str(started["address"]))
        try:
            info = client.get_job_info(started["id"])
        except RuntimeError as error:
            if "status code 404" not in str(error):
                raise
            return "", ""
        return str(getattr(info.status, "value", info.status)), (info.message or "").strip()

    def stop(self, started: Mapping[str, Any]) -> None:
        """Stop a job that still runs, and wait until it has ended."""
        _stop(self._client(str(started["address"])), str(started["id"]))

    def stop_command(self, started: Mapping[str, Any]) -> str:
        return shlex.join(["ray", "job", "stop", str(started["id"]), "--address", str(started["address"])])

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

    def _wait(self, client: Any, name: str, tail: FileTail, on_lines: OnLines, abort: Abort) -> None:
        heard, asked = time.monotonic(), 0.0
        while True:
            raise_if(abort())
            on_lines(tail.lines())
            now = time.monotonic()
            if now - asked >= _JOB_POLL_INTERVAL_S:
                asked = now
                try:
                    if client.get_job_status(name).is_terminal():
                        return
                    heard = now
                except (RuntimeError, OSError):  # requests' errors are OSErrors
                    if now - heard > _SILENCE_TIMEOUT_S:
                        raise BackendError(
                            f"the Ray cluster at {self._address} does not answer any more",
                            f"job {name}",
                            "see that it runs; --resume goes on",
                        ) from None
            time.sleep(POLL_INTERVAL_S)


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


def _exit_code(client: Any, name: str, log: Path) -> int:
    """The trainer's own exit code if Ray knows it; Ray's message about a failed job is written to the log."""
    info = client.get_job_info(name)
    if info.status == "SUCCEEDED":
        return 0
    with log.open("a", encoding="utf-8") as out:
        out.write(f"ray: job {name} is {info.status}: {(info.message or '').strip()}\n")
    return 143 if info.status == "STOPPED" else info.driver_exit_code or 1


@contextlib.contextmanager
def _without(names: tuple[str, ...]) -> Iterator[None]:
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)
