"""The viewer's server answers GET, with its token, to this machine's own names, and nothing else."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from unpacking import read_chunk, read_index
from viewed_runs import append_rollouts, make_run, rollouts

from lrmctl.errors import LrmctlError
from lrmctl.viewer import LiveTraces, TraceServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TraceServer]:
    run = make_run(tmp_path, "rl", prompts=1, rollouts=True)
    (tmp_path / "secret.txt").write_text("not for the page")
    with TraceServer(LiveTraces([run])) as running:
        yield running


@pytest.fixture
def client(server: TraceServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, trust_env=False) as open_client:
        yield open_client


def raw(server: TraceServer, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    """A request whose path no client tidies up."""
    where = urlsplit(server.url)
    connection = http.client.HTTPConnection(str(where.hostname), where.port or 0, timeout=30)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    return answer.status, answer.read().decode(errors="replace")


def test_the_page_and_its_traces(client: httpx.Client) -> None:
    page = client.get("")
    assert page.status_code == 200
    assert 'data-live="1"' in page.text
    part = client.get("index?from=0").json()
    index = read_index(part)
    assert {row["phase"] for row in index} == {"evaluation", "train"}
    chunk = read_chunk(client.get(f"chunk?from=0&to={part['count']}").content)
    assert len(chunk.columns["thinking"]) == part["count"]
    assert client.get("state").json()["runs"] == ["rl"]


def test_a_damaged_file_of_a_run_is_said(client: httpx.Client, tmp_path: Path) -> None:
    (tmp_path / "rl" / "status.json").write_text("{")
    answer = client.get("state")
    assert answer.status_code == 500
    assert "status.json: this file is damaged" in answer.text


def test_a_file_that_grows_is_seen_through_the_server(client: httpx.Client, tmp_path: Path) -> None:
    n = client.get("index?from=0").json()["count"]
    append_rollouts(tmp_path / "rl" / "rollouts.jsonl", rollouts(5, first=65))
    assert client.get(f"index?from={n}").json()["count"] == 5


def test_without_the_token_there_is_nothing(server: TraceServer) -> None:
    token = urlsplit(server.url).path.strip("/")
    assert len(token) >= 20
    wrong = ("/", "/state", "/index", f"/{token[:-1]}/state", f"/{token}x/state", "//state", "/%00/", "/%C3%A9/")
    for path in wrong:
        status, text = raw(server, path)
        assert status == 404, path
        assert token not in text


def test_every_server_has_a_token_of_its_own(server: TraceServer) -> None:
    assert TraceServer(LiveTraces([])).url.split("/")[-2] != server.url.split("/")[-2]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
def test_only_get_is_answered(client: httpx.Client, method: str) -> None:
    for path in ("", "state", "index"):
        assert client.request(method, path).status_code == 405


FOREIGN = ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "0.0.0.0", "10.0.0.7", "")
ELSEWHERE = ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"})
UPWARDS = ("../secret.txt", "..%2fsecret.txt", "%2e%2e/secret.txt", "....//secret.txt", "/etc/passwd")


@pytest.mark.parametrize("host", FOREIGN)
def test_a_foreign_host_is_refused(server: TraceServer, host: str) -> None:
    """DNS rebinding: a name of another site that leads here."""
    assert raw(server, urlsplit(server.url).path, Host=host)[0] in (400, 403)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:9", "[::1]:8000", "127.0.0.1:1234"])
def test_own_names_are_let_in_also_through_a_forwarded_port(server: TraceServer, host: str) -> None:
    assert raw(server, urlsplit(server.url).path + "state", Host=host)[0] == 200


@pytest.mark.parametrize("header", ELSEWHERE)
def test_a_page_of_another_site_is_refused(server: TraceServer, header: dict[str, str]) -> None:
    assert raw(server, urlsplit(server.url).path + "state", **header)[0] == 403


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "..%2fsecret.txt",
        "%2e%2e/secret.txt",
        "....//secret.txt",
        "/etc/passwd",
        "docs",
        "openapi.json",
    ],
)
def test_no_path_leads_to_a_file(server: TraceServer, path: str) -> None:
    status, text = raw(server, urlsplit(server.url).path + path)
    assert status in (400, 404)
    assert "not for the page" not in text
    assert "root:" not in text


@pytest.mark.parametrize("query", ["from=-1", "from=x", "from=9999999999999999", "from=1e3", "from=0&to=-5", ""])
def test_odd_numbers_do_no_harm(client: httpx.Client, query: str) -> None:
    assert client.get(f"index?{query}").status_code == 200
    assert client.get(f"chunk?{query}").status_code == 200


def test_answers_may_be_read_by_no_other_page(client: httpx.Client) -> None:
    headers = client.get("").headers
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in headers
    rules = dict(rule.strip().partition(" ")[::2] for rule in headers["content-security-policy"].split(";"))
    assert rules["default-src"] == rules["frame-ancestors"] == rules["base-uri"] == "'none'"
    assert rules["connect-src"] == "'self'"
    assert "unsafe" not in headers["content-security-policy"]


def test_it_listens_on_one_address_of_this_machine_only(server: TraceServer) -> None:
    """127.0.0.2 is this machine too: a server of every address would answer there."""
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.2", urlsplit(server.url).port or 0)) != 0


def test_a_taken_port_is_an_error_with_a_way_out(server: TraceServer) -> None:
    port = urlsplit(server.url).port or 0
    with pytest.raises(LrmctlError, match=f"port {port} on 127.0.0.1 is taken"), TraceServer(LiveTraces([]), port=port):
        pass
