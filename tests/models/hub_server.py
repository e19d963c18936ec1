"""The addresses of a hub that listing and fetching a model need, on loopback, for folders of this machine."""

from __future__ import annotations

import hashlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "a" * 40
RECIPE = """
kind: eval
name: one
model: lab:tiny
evaluation:
  judge: refusal-phrases
  over_refusal: false
  safety: [{use: prompts-file, options: {path: prompts.csv, kind: kind}}]
  samples: 1
  max_new_tokens: 64
"""


class Hub:
    """Repositories by id; a context manager.

    Attributes:
        folders: the repositories.
        fetched: paths of the files that were sent, in order.
    """

    def __init__(self) -> None:
        self.folders: dict[str, Path] = {}
        self.fetched: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Hub:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                self.answer(body=True)

            def do_HEAD(self) -> None:
                self.answer(body=False)

            def answer(self, body: bool) -> None:
                path = unquote(urlsplit(self.path).path).strip("/")
                owner, name, *rest = path.removeprefix("api/models/").split("/")
                folder = hub.folders.get(f"{owner}/{name}")
                if folder is None:
                    self.send(404, b"", {"X-Error-Code": "RepoNotFound"}, body)
                elif path.startswith("api/models/"):
                    self.send(200, json.dumps(listing(folder, tree="tree" in rest)).encode(), {}, body)
                else:
                    self.file(folder, "/".join(rest[2:]), body)

            def file(self, folder: Path, name: str, body: bool) -> None:
                if not (folder / name).is_file():
                    self.send(404, b"", {"X-Error-Code": "EntryNotFound"}, body)
                    return
                data = (folder / name).read_bytes()
                if body:
                    hub.fetched.append(name)
                etag = hashlib.sha256(data).hexdigest()
                self.send(200, data, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT}, body)

            def send(self, code: int, data: bytes, headers: dict[str, str], body: bool) -> None:
                self.send_response(code)
                for key, value in {**headers, "Content-Length": str(len(data))}.items():
                    self.send_header(key, value)
                self.end_headers()
                if body:
                    self.wfile.write(data)

        return Handler


def listing(folder: Path, tree: bool) -> Any:
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    names = [file.relative_to(folder).as_posix() for file in files]
    if tree:
        return [
            {"type": "file", "oid": "b" * 40, "size": file.stat().st_size, "path": name}
            for file, name in zip(files, names, strict=True)
        ]
    told = {"id": "me/model", "modelId": "me/model", "sha": COMMIT, "private": False, "gated": False, "tags": []}
    return {**told, "downloads": 0, "siblings": [{"rfilename": name} for name in names]}
