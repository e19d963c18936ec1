"""A socket that is bound before anything starts, and the address by which others reach it."""

from __future__ import annotations

import errno
import socket

from lrmctl.errors import LrmctlError

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def own_address(towards: str = "") -> str:
    """The address by which a remote host sees this machine; its name if unknown.

    Args:
        towards: the remote host; without it the default route decides.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((towards or "192.0.2.1", 9))  # datagrams: nothing is sent
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, so that a taken port is detected before anything starts."""
    if not host.strip():  # an empty name would mean every address, which was not requested
        raise LrmctlError("an empty text is no address to listen on", fix="say --host 127.0.0.1")
    # asyncio disables Nagle's algorithm only if the protocol is given; with it, a reply takes 40 ms more
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise LrmctlError(f"{host} cannot be used here: {error.strerror}", fix="say --host 127.0.0.1") from error
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except (OSError, ValueError, TypeError) as error:
        listener.close()
        taken = getattr(error, "errno", None) == errno.EADDRINUSE
        reason = getattr(error, "strerror", None) or "it is no address"
        what = "is taken by another process" if taken else f"cannot be used: {reason}"
        raise LrmctlError(
            f"port {port} on {host} {what}", fix="choose another port, or leave it to lrmctl with port 0"
        ) from error
    return listener
