"""Files at fixed addresses, from a real server: held against their hash, read by their name, refused in words."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lrmctl.data.catalog import DataSet
from lrmctl.data.fetch import fetch
from lrmctl.errors import NotFoundError

TABLE = b'prompt,note\n"one, and\nmore",x\ntwo,y\n'


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.delenv("LRMCTL_DATA_DIR", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    (tmp_path / "table.csv").write_bytes(TABLE)
    (tmp_path / "lines.txt").write_bytes(b"one\r\n\r\ntwo\r\n")
    (tmp_path / "picture.csv").write_bytes(b"\xff\xfe\x00\x01")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def at(address: str, sha256: str = "") -> DataSet:
    return DataSet(
        "served", "CC0", ("prompt",), 2, "https://example.org", "served/x.csv", download=address, sha256=sha256
    )


def test_a_file_with_the_known_hash_is_read_with_its_lines_inside_cells(site):
    found = fetch(at(f"{site}/table.csv", hashlib.sha256(TABLE).hexdigest()))
    assert [row["prompt"] for row in found.rows] == ["one, and\nmore", "two"]
    assert found.facts["download"] == f"{site}/table.csv"


def test_another_file_than_the_known_one_is_refused(site):
    with pytest.raises(NotFoundError, match="is not the one that is known") as caught:
        fetch(at(f"{site}/table.csv", "0" * 64))
    assert "$LRMCTL_DATA_DIR/served/x.csv" in caught.value.fix


def test_the_hash_of_a_file_that_nobody_has_pinned_is_recorded(site):
    found = fetch(at(f"{site}/lines.txt"))
    assert [row["prompt"] for row in found.rows] == ["one", "two"]
    assert found.facts["sha256"] == hashlib.sha256(b"one\r\n\r\ntwo\r\n").hexdigest()


def test_a_file_that_is_gone_or_is_something_else_is_one_clear_error(site):
    for file in ("none.csv", "picture.csv"):
        with pytest.raises(NotFoundError, match="cannot be had") as caught:
            fetch(at(f"{site}/{file}"))
        assert "$LRMCTL_DATA_DIR/served/x.csv" in caught.value.fix


def test_nothing_is_fetched_where_the_hub_is_switched_off(site, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(NotFoundError, match="HF_HUB_OFFLINE is set"):
        fetch(at(f"{site}/lines.txt"))


def test_a_local_file_that_changed_is_read_again(tmp_path):
    file = tmp_path / "mine.jsonl"
    data = DataSet("mine", "CC0", ("prompt",), 1, "https://example.org", "mine.jsonl")
    file.write_text('{"prompt": "one"}\n')
    assert [row["prompt"] for row in fetch(data, str(file)).rows] == ["one"]
    file.write_text('{"prompt": "one"}\n{"prompt": "two"}\n')
    assert [row["prompt"] for row in fetch(data, str(file)).rows] == ["one", "two"]
