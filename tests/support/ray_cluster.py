"""A real Ray cluster on this machine: a head with a dashboard and worker nodes, with GPUs that they only count."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lrmctl.backends.launch.launchers import launcher
from lrmctl.errors import LrmctlError


def free_port(low: int) -> int:
    """A free port outside the range that Ray keeps for its workers (10002 to 19999)."""
    for port in range(low, 10000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    raise AssertionError("no free port")


@contextmanager
def ray_cluster(workers: int = 0, cpus: int = 6, gpus: int = 4) -> Iterator[str]:
    """The address of the dashboard.

    Args:
        workers: nodes beside the head; with any, the head itself has no CPUs for jobs.
        cpus, gpus: of the head, or of every worker.
    """
    temp = tempfile.mkdtemp(prefix="lrray")
    port, dashboard = free_port(6400), free_port(8300)
    words = ["--head", "--port", str(port), "--dashboard-host", "127.0.0.1", "--dashboard-port", str(dashboard)]
    words += ["--temp-dir", temp, "--dashboard-agent-listen-port", str(free_port(5300))]
    own = {"CPU": 0, "GPU": 0} if workers else {"CPU": cpus, "GPU": gpus}
    nodes = [_node(words, own)]
    address = f"http://127.0.0.1:{dashboard}"
    try:
        _wait_for(address, nodes[0])
        for _ in range(workers):
            agent = ["--dashboard-agent-listen-port", str(free_port(5310 + 10 * len(nodes)))]
            nodes.append(_node(["--address", f"127.0.0.1:{port}", *agent], {"CPU": cpus, "GPU": gpus}))
            _wait_for_nodes(address, len(nodes))
        yield address
    finally:
        for node in reversed(nodes):
            _end(node)
        shutil.rmtree(temp, ignore_errors=True)


def _node(words: list[str], resources: dict[str, int]) -> subprocess.Popen[bytes]:
    env = {**os.environ, "RAY_OVERRIDE_RESOURCES": json.dumps(resources), "RAY_USAGE_STATS_ENABLED": "0"}
    return subprocess.Popen(
        [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats", *words],
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _end(node: subprocess.Popen[bytes]) -> None:
    node.send_signal(signal.SIGINT)
    try:
        node.wait(timeout=30)
    except subprocess.TimeoutExpired:
        node.kill()
    try:
        os.killpg(node.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _wait_for(address: str, head: subprocess.Popen[bytes], patience: float = 120.0) -> None:
    end = time.monotonic() + patience
    while True:
        try:
            launcher({"via": "ray", "address": address}).check()
            time.sleep(3)  # the agent that starts jobs comes a moment after the dashboard
            return
        except LrmctlError:
            assert head.poll() is None, "the Ray head ended"
            if time.monotonic() > end:
                pytest.skip("a Ray head with a dashboard did not come up here")
            time.sleep(1)


def _wait_for_nodes(address: str, count: int, patience: float = 120.0) -> None:
    from lrmctl.backends.launch.ray import RayJobs

    end = time.monotonic() + patience
    while len(RayJobs(address=address).nodes()) < count:
        if time.monotonic() > end:
            pytest.fail("the worker nodes did not join")
        time.sleep(1)
