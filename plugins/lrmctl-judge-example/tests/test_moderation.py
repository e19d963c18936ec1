"""The judge against a real server on this machine, which does what the judged text tells it to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from lrmctl_judge_example import ModerationJudge

from lrmctl import Prompt, Trace, make_judge
from lrmctl.errors import JudgeError, RecipeError
from lrmctl.testing import check_judge


class Server(ThreadingHTTPServer):
    """Attributes: seen: texts asked, in order; most: requests at the same time at most; keys: of all requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[str] = []
        self.keys: set[str | None] = set()
        self.now = self.most = 0
        self.lock = threading.Lock()
        self.over = threading.Event()

    def handle_error(self, *_: Any) -> None:
        """A client that gave up is what some tests are about."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/moderations"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"]
        with self.server.lock:
            self.server.seen.append(text)
            self.server.keys.add(self.headers["Authorization"])
            self.server.now += 1
            self.server.most = max(self.server.most, self.server.now)
            tries = self.server.seen.count(text)
        word, _, rest = text.partition(" ")
        if word == "pause":
            self.server.over.wait(float(rest.split()[0]))
        status = int(rest.split()[0]) if word == "always" or (word == "once" and tries == 1) else 200
        body = rest if word == "raw" else json.dumps({"results": [moderation(text)]})
        with self.server.lock:
            self.server.now -= 1
        self.send_response(status)
        self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None: ...


def moderation(text: str) -> dict[str, Any]:
    bad = "hazard" in text
    scores = {"violence": 0.6 if bad else 0.1, "self-harm": 0.0}
    return {"flagged": bad, "categories": {"violence": bad, "self-harm": False}, "category_scores": scores}


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.over.set()
        server.shutdown()


def judge(server: Server, **options: Any) -> ModerationJudge:
    return ModerationJudge(server.url, "omni", **options)


def trace(answer: str, thinking: str = "a thought") -> Trace:
    return Trace(Prompt.user("p", "?", "harmful"), thinking, answer, "closed")


def test_it_keeps_the_contract_of_judges(server: Server) -> None:
    check_judge(judge(server))


def test_what_is_flagged_is_unsafe_and_says_why(server: Server) -> None:
    good, bad = judge(server).judge([trace("about gardens"), trace("about hazard-3")], "answer")
    assert (good.safe, good.p_unsafe, good.labels, good.refused) == (True, 0.1, (), None)
    assert (bad.safe, bad.p_unsafe, bad.labels) == (False, 0.6, ("violence",))
    assert json.loads(bad.raw)["flagged"] is True
    assert bad.version == "1/omni/flagged"


def test_a_threshold_takes_the_place_of_the_endpoints_word(server: Server) -> None:
    (bad,) = judge(server, threshold=0.7).judge([trace("about hazard-3")], "answer")
    assert (bad.safe, bad.version) == (True, "1/omni/0.7")


def test_the_part_that_is_asked_about_is_sent(server: Server) -> None:
    some = [trace("the answer", "the thinking")]
    for part in ("thinking", "answer", "whole"):
        judge(server).judge(some, part)
    assert server.seen == ["the thinking", "the answer", "the thinking\n\nthe answer"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("always 500", "500 Internal Server Error"),
        ("always 401", "401 Unauthorized"),
        ("pause 60", "ReadTimeout"),
        ("raw not json", "JSONDecodeError"),
        ("raw {}", "no moderation of one text"),
        ('raw {"results": []}', "no moderation of one text"),
        (
            'raw {"results": [{"flagged": "no", "categories": {}, "category_scores": {}}]}',
            "whether the text is",
        ),
        ('raw {"results": [{"flagged": false, "categories": {}, "category_scores": {}}]}', "not in [0, 1]"),
        ('raw {"results": [{"flagged": false, "categories": {}, "category_scores": {"x": NaN}}]}', "not in [0, 1]"),
    ],
)
def test_a_request_that_fails_is_a_failed_verdict_and_harms_no_other(server: Server, text: str, told: str) -> None:
    failed, good = judge(server, timeout=0.3, retries=0).judge([trace(text), trace("about gardens")], "answer")
    assert told in failed.error
    assert (failed.safe, failed.refused, failed.malformed, failed.outcome) == (None, None, None, "failed")
    assert good.outcome == "safe"


def test_nobody_listening_is_a_failed_verdict(server: Server) -> None:
    asked = judge(server, retries=0)
    server.shutdown()
    server.server_close()
    (failed,) = asked.judge([trace("about gardens")], "answer")
    assert "ConnectError" in failed.error


def test_what_may_pass_is_tried_again_and_what_cannot_is_not(server: Server) -> None:
    again, refused = judge(server).judge([trace("once 429"), trace("always 400")], "answer")
    assert again.outcome == "safe"
    assert server.seen.count("once 429") == 2
    assert "400 Bad Request" in refused.error
    assert server.seen.count("always 400") == 1


def test_there_are_never_more_requests_at_a_time_than_the_option_says(server: Server) -> None:
    asked = judge(server, concurrency=3)
    calls = [
        threading.Thread(target=asked.judge, args=([trace(f"pause 0.05 {i} {j}") for j in range(4)], "answer"))
        for i in range(3)
    ]
    for call in calls:
        call.start()
    for call in calls:
        call.join()
    assert len(server.seen) == 12
    assert server.most == 3


def test_nothing_to_judge_is_asked_nothing_and_is_not_safe(server: Server) -> None:
    empty, broken = judge(server).judge([trace(" "), Trace(trace("").prompt, "", "x", "absent", "error")], "answer")
    assert (empty.outcome, empty.malformed) == ("malformed", True)
    assert broken.outcome == "failed"
    assert server.seen == []


def test_the_key_comes_from_the_environment_and_a_missing_one_is_told_before_anything_is_asked(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = judge(server, api_key_env="GUARD_KEY")
    monkeypatch.delenv("GUARD_KEY", raising=False)
    with pytest.raises(JudgeError, match="GUARD_KEY is not set"):
        asked.check()
    monkeypatch.setenv("GUARD_KEY", "secret")
    asked.check()
    asked.judge([trace("about gardens")], "answer")
    assert server.keys == {"Bearer secret"}


def test_a_recipe_finds_it_by_name_and_its_options_are_checked(server: Server) -> None:
    made = make_judge("moderation", url=server.url, model="omni")
    assert made.judge([trace("about hazard-3")], "answer")[0].safe is False
    assert made.says_refusal is False
    with pytest.raises(RecipeError, match="threshold must be above 0"):
        make_judge("moderation", url=server.url, model="omni", threshold=2)
    with pytest.raises(RecipeError, match="url must begin with"):
        make_judge("moderation", url="guard:8000", model="omni")
