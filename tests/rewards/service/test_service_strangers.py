"""What strangers and broken callers send to the reward service: refused, not written, and no end of the run."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from calls import SUM, good, post, rows, service

from lrmctl.rewards.service import access
from lrmctl.rewards.service.server import RewardService

FORMAT = {"use": "format"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RewardService, Path]]:
    folder = tmp_path_factory.mktemp("served")
    with service(folder, FORMAT) as s:
        post(s.url, [good(SUM, "4")])
        yield s, folder


def _labelled(**prompt: Any) -> bytes:
    label = json.loads(good(SUM, "4")["labels"][0])
    label["prompt"] |= prompt
    return json.dumps({**good(SUM, "4"), "labels": [json.dumps(label)]}).encode()


def _nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


BODIES = {
    "nothing": b"",
    "a brace": b"{",
    "a list": b"[]",
    "null": b"null",
    "too few keys": b'{"query": ["a"]}',
    "no UTF-8": b"\xff\xfe",
    "binary": bytes(range(256)),
    "nested": b"[" * 200_000,
    "nested object": b'{"a":' * 200_000,
    "nested in a value": b'{"query": ' + b"[" * 100_000 + b"]" * 100_000 + b', "prompts": [""], "labels": [""]}',
    "a huge number": b'{"query": ' + b"9" * 100_000 + b"}",
    "NaN": b'{"query": NaN, "prompts": Infinity, "labels": -Infinity}',
    "two rollouts": json.dumps({k: v * 2 for k, v in good(SUM, "4").items()}).encode(),
    "texts in place of lists": json.dumps({k: v[0] for k, v in good(SUM, "4").items()}).encode(),
    "numbers": b'{"query": [1], "prompts": [2], "labels": [3]}',
    "a foreign label": json.dumps({**good(SUM, "4"), "labels": ["4"]}).encode(),
    "a nested label": json.dumps({**good(SUM, "4"), "labels": ["[" * 200_000]}).encode(),
    "a label that is a list": json.dumps({**good(SUM, "4"), "labels": ["[]"]}).encode(),
    "a label of another version": json.dumps({**good(SUM, "4"), "labels": ['{"lrmctl": 99}']}).encode(),
    "half a character in the label": json.dumps({**good(SUM, "4"), "labels": ["\udfff"]}).encode(),
    "an unknown kind": _labelled(kind="evil"),
    "a kind that is a list": _labelled(kind=["harmful"]),
    "an id that is a number": _labelled(id=5),
    "no messages": _labelled(messages=[]),
    "messages that are texts": _labelled(messages=["a"]),
    "messages without content": _labelled(messages=[{"role": "user"}]),
    "content that is null": _labelled(messages=[{"role": "user", "content": None}]),
    "a reference that is a number": _labelled(reference=4),
    "meta that is a list": _labelled(meta=[]),
    "meta that is nested": _labelled(meta={"a": _nested(200)}),
    "an unknown key": _labelled(evil=1),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_what_is_no_reward_call_gets_400_and_leaves_no_row(served: tuple[RewardService, Path], body: bytes) -> None:
    s, folder = served
    reply = httpx.post(s.url, content=body, timeout=60)
    assert reply.status_code == 400, reply.text
    assert s.failure() is None
    post(s.url, [good(SUM, "4")])
    assert all(row["prompt_id"] == SUM.id and not row["error"] for row in rows(folder))


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "x"])
def test_a_body_that_says_it_is_something_else_gets_400(served: tuple[RewardService, Path], kind: str) -> None:
    s, _ = served
    reply = httpx.post(s.url, content=json.dumps(good(SUM, "4")), headers={"Content-Type": kind}, timeout=60)
    assert reply.status_code == 400
    assert httpx.post(s.url, content=json.dumps(good(SUM, "4")), timeout=60).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1"},
        {"Host": "evil.example"}, {"Host": "evil.example:80"}, {"Host": "127.0.0.1.evil.example"}, {"Host": "[evil]:1"},
        {"Host": ""},
    ],
)  # fmt: skip
def test_pages_of_a_browser_and_other_names_get_403_even_with_the_token(
    served: tuple[RewardService, Path], headers: dict[str, str]
) -> None:
    s, folder = served
    before = len(rows(folder))
    for url in (s.url, f"{s.base}/reward", f"{s.base}/healthz"):
        assert httpx.post(url, json=good(SUM, "4"), headers=headers, timeout=60).status_code == 403
    assert len(rows(folder)) == before


def test_a_stranger_without_the_token_gets_401_whatever_it_asks(served: tuple[RewardService, Path]) -> None:
    s, folder = served
    before = len(rows(folder))
    for method in ("GET", "POST", "PUT", "OPTIONS", "HEAD", "DELETE", "TRACE"):
        for path in (
            "/",
            "/reward",
            "/healthz",
            "/metrics",
            "/docs",
            "//reward",
            "/%00/reward",
            "/../reward",
            "/é/reward",
        ):
            assert httpx.request(method, s.base + path, timeout=30).status_code == 401
    assert len(rows(folder)) == before
    assert s.failure() is None


def _raw(s: RewardService, *parts: bytes, wait: float = 30.0) -> bytes:
    """What comes back for bytes as they are, until the service closes."""
    port = int(s.base.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=wait) as to:
        for part in parts:
            to.sendall(part)
        heard = b""
        while chunk := to.recv(65536):
            heard += chunk
        return heard


HEAD = b"Host: 127.0.0.1\r\nConnection: close\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        b"OPTIONS * HTTP/1.1\r\n" + HEAD + b"\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\n" + HEAD + b"\r\n",
        b"CONNECT evil.example:80 HTTP/1.1\r\n" + HEAD + b"\r\n",
        b"POST /reward HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /reward HTTP/1.1\r\n" + HEAD + b"Content-Length: -5\r\n\r\n",
        b"POST /reward HTTP/1.1\r\n" + HEAD + b"Content-Length: 99999999999999999999\r\n\r\n",
        b"POST /reward HTTP/1.1\r\n" + HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
def test_bytes_that_are_no_request_of_ours_are_refused(served: tuple[RewardService, Path], sent: bytes) -> None:
    s, _ = served
    heard = _raw(s, sent)
    assert re.match(rb"HTTP/1.1 4\d\d|$", heard), heard
    assert b" 500 " not in heard
    assert s.failure() is None


def test_a_head_without_end_is_not_kept(served: tuple[RewardService, Path]) -> None:
    s, _ = served
    with pytest.raises(OSError, match=r"reset|[Bb]roken|aborted"):
        _raw(s, b"GET / HTTP/1.1\r\n" + HEAD, *[b"X: " + b"x" * 60_000 + b"\r\n"] * 200)
    post(s.url, [good(SUM, "4")])


def test_bodies_on_their_way_have_a_common_limit_and_no_place_for_ever(tmp_path: Path) -> None:
    with service(tmp_path, FORMAT, max_reading_bytes=2**20) as s:
        port = int(s.base.rpartition(":")[2])
        path = s.url.removeprefix(s.base).encode()
        head = b"POST " + path + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900000\r\n\r\n"
        started = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(4)]
        for one in started:
            one.sendall(head + b"x" * 600_000)
        heard = started[-1].recv(100)
        others = [one.recv(100) for one in started[1:-1]]
        assert any(b" 503 " in reply for reply in (heard, *others))
        for one in started:
            one.close()
        post(s.url, [good(SUM, "4")], tries=3)


def test_half_a_head_is_not_waited_for() -> None:
    assert access.HEAD_SECONDS <= 60
    script = """
import asyncio, sys
from lrmctl.rewards.service import access
access.HEAD_SECONDS = access.BODY_SECONDS = 0.5
import uvicorn
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})
listener = __import__("socket").create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
config = uvicorn.Config(app, http=access.impatient_protocol(), lifespan="off", log_config=None)
uvicorn.Server(config).run([listener])
"""
    server = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        for sent in (b"", b"GET / HTTP/1.1\r\nHos"):
            with socket.create_connection(("127.0.0.1", port), timeout=60) as to:
                to.sendall(sent)
                with suppress(ConnectionResetError):
                    assert to.recv(100) == b""
    finally:
        server.kill()
        server.wait()


@pytest.mark.parametrize("host", ["::1", "localhost", "127.0.0.1"])
def test_it_listens_on_either_loopback(tmp_path: Path, host: str) -> None:
    if host == "::1":
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError:
            pytest.skip("no IPv6 here")
    with service(tmp_path, FORMAT, host=host) as s:
        post(s.url, [good(SUM, "4")])
        assert s.counts()["rollouts"] == 1
