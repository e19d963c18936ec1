"""A hub on this machine: what huggingface_hub asks of one to create a model repository and to upload files into it.

Large files go by Git LFS (HF_HUB_DISABLE_XET=1). Every file of a commit is checked against its hash.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml

TOKEN = "hf_of_a_test"


@dataclass
class Repository:
    """A model repository: its files by path."""

    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    commits: int = 0


@dataclass
class Hub:
    """What the hub has.

    Attributes:
        uploads: hashes of the large files that were sent, in order.
        fail_puts: how many of the next uploads of large files are refused.
    """

    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    uploads: list[str] = field(default_factory=list)
    fail_puts: int = 0


@contextmanager
def running_hub() -> Iterator[Hub]:
    """A hub that serves until the block ends."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def answer(self, data: Any, status: int = 200) -> None:
            body = json.dumps(data).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") == "chunked":
                found = b""
                while size := int(self.rfile.readline().strip() or b"0", 16):
                    found += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return found
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def refused(self) -> bool:
            if self.headers.get("Authorization") == f"Bearer {TOKEN}":
                return False
            self.answer({"error": "Invalid username or password."}, 401)
            return True

        def do_GET(self) -> None:
            if self.refused():
                return
            if self.path == "/api/whoami-v2":
                self.answer({"type": "user", "name": "tester", "orgs": []})
            elif (m := re.match(r"/api/models/([^/]+/[^/?]+)(/revision/main)?(\?.*)?$", self.path)) and (
                repo := hub.repositories.get(m[1])
            ):
                files = [{"rfilename": name} for name in repo.files]
                self.answer({"id": m[1], "private": repo.private, "sha": "0" * 40, "siblings": files})
            else:
                self.answer({"error": "Repository not found"}, 404)

        def do_POST(self) -> None:
            content = self.body()
            if self.refused():
                return
            if self.path == "/api/repos/create":
                self._create(json.loads(content))
            elif self.path == "/api/validate-yaml":
                self._validate(json.loads(content)["content"])
            elif m := re.match(r"/api/models/([^/]+/[^/]+)/preupload/main", self.path):
                told = json.loads(content)["files"]
                self.answer({"files": [_how(m[1], one) for one in told]})
            elif re.match(r"/[^/]+/[^/]+\.git/info/lfs/objects/batch", self.path):
                self.answer({"transfer": "basic", "objects": [self._object(o) for o in json.loads(content)["objects"]]})
            elif m := re.match(r"/api/models/([^/]+/[^/]+)/commit/main", self.path):
                self._commit(m[1], [json.loads(line) for line in content.splitlines() if line.strip()])
            else:
                self.answer({"error": f"not served here: {self.path}"}, 404)

        def do_PUT(self) -> None:
            content, oid = self.body(), self.path.rpartition("/")[2]
            if hub.fail_puts:
                hub.fail_puts -= 1
                self.answer({"error": "the disk of the store is full"}, 400)
                return
            assert hashlib.sha256(content).hexdigest() == oid
            hub.blobs[oid] = content
            hub.uploads.append(oid)
            self.answer({})

        def _create(self, asked: dict[str, Any]) -> None:
            name = f"{asked.get('organization') or 'tester'}/{asked['name']}"
            url = {"url": f"{hub.url}/{name}", "name": name, "id": name}
            if name in hub.repositories:
                self.answer({**url, "error": "You already created this model repo"}, 409)
                return
            private = asked.get("private") or asked.get("visibility") == "private"
            hub.repositories[name] = Repository(bool(private))
            self.answer(url)

        def _validate(self, card: str) -> None:
            told = yaml.safe_load(card.split("---")[1])
            missing = [key for key in ("license", "tags") if key not in told]
            self.answer(
                {"errors": [{"message": f"no {key}"} for key in missing], "warnings": []}, 400 * bool(missing) or 200
            )

        def _object(self, asked: dict[str, Any]) -> dict[str, Any]:
            oid = asked["oid"]
            known = {} if oid in hub.blobs else {"actions": {"upload": {"href": f"{hub.url}/lfs/{oid}"}}}
            return {"oid": oid, "size": asked["size"], **known}

        def _commit(self, name: str, lines: list[dict[str, Any]]) -> None:
            repo = hub.repositories[name]
            for line in lines:
                value = line["value"]
                if line["key"] == "file":
                    repo.files[value["path"]] = base64.b64decode(value["content"])
                elif line["key"] == "lfsFile":
                    repo.files[value["path"]] = hub.blobs[value["oid"]]
            repo.commits += 1
            sha = f"{repo.commits:040x}"
            self.answer({"commitUrl": f"{hub.url}/{name}/commit/{sha}", "commitOid": sha, "pullRequestUrl": None})

    def _how(name: str, asked: dict[str, Any]) -> dict[str, Any]:
        large = asked["path"].endswith((".safetensors", ".parquet")) or asked["size"] > 10_000_000
        known = hub.repositories[name].files.get(asked["path"])
        oid = hashlib.sha1(b"blob %d\0" % len(known) + known).hexdigest() if known is not None and not large else None
        return {"path": asked["path"], "uploadMode": "lfs" if large else "regular", "shouldIgnore": False, "oid": oid}

    return Handler
