"""A web application in a thread of this process, on a socket that is known to be ours before anything starts."""

from __future__ import annotations

import errno
import socket
import threading
import time
from typing import TYPE_CHECKING

from lrmctl.errors import LrmctlError

if TYPE_CHECKING:
    from starlette.applications import Starlette


LOOPBACK = ("127.0.0.1", "localhost")


def own_address(towards: str = "") -> str:
    """The address under which a host that is reached through the network sees this machine; its name if unknown.

    Args:
        towards: that host; without it the default route decides.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((towards or "192.0.2.1", 9))  # datagrams: nothing is sent
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, so that a taken port is known before anything starts."""
    # asyncio switches Nagle's algorithm off only where the protocol is given; with it on, a reply takes 40 ms more
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        taken = error.errno == errno.EADDRINUSE
        what = "is taken by another process" if taken else f"cannot be used: {error.strerror}"
        raise LrmctlError(
            f"port {port} on {host} {what}", fix="choose another port, or leave it to lrmctl with port 0"
        ) from error
    return listener


class Server:
    """uvicorn in a thread, over a socket that already listens."""

    def __init__(self, app: Starlette, listener: socket.socket) -> None:
        import uvicorn

        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1, backlog=2048
        )
        self._listener = listener
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listener],), name="lrmctl-http", daemon=True)
        self._thread.start()
        self._wait(30.0)

    def _wait(self, patience: float) -> None:
        end = time.monotonic() + patience
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > end:
                raise LrmctlError("the reward service did not start")
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop taking calls, give open ones a second, and return when the socket is closed."""
        self._server.should_exit = True
        self._thread.join(5.0)
        self._listener.close()
