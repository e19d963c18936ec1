"""Model judges asked over HTTP: the same forms, with a server that plays the model."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from forms_under_test import CASES, QUESTION

from lrmctl.hooks import registry
from lrmctl.judges.query import JudgeReply
from lrmctl.types import Prompt, Trace

OPTIONS: dict[str, dict[str, Any]] = {
    "llama-guard-3": {},
    "llama-guard-3 probability": {"mode": "probability"},
    "qwen3guard": {},
    "wildguard": {},
    "shieldgemma": {},
    "yes-no": {"question": QUESTION},
    "strongreject": {},
}


class Model(BaseHTTPRequestHandler):
    """Says the unsafe words of the form called by the model's name if the text holds hazard-3, else the safe ones."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        case, hidden = CASES[body["model"]], "hazard-3" in json.dumps([body.get("prompt"), body.get("messages")])
        assert case.safe is not None
        data = json.dumps({"choices": [self._choice(case.other if hidden else case.safe, "prompt" in body)]}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _choice(self, reply: JudgeReply, raw: bool) -> dict[str, Any]:
        said: dict[str, Any] = {"text": reply.text} if raw else {"message": {"content": reply.text}}
        if not reply.probabilities:
            return said
        likely = {word: math.log(p) for word, p in reply.probabilities.items()}
        first = max(likely, key=likely.__getitem__)
        if raw:
            table = {"tokens": [first], "token_logprobs": [likely[first]], "top_logprobs": [likely]}
            return {"text": first, "logprobs": table}
        listed = [{"token": word, "logprob": p} for word, p in likely.items()]
        at = {"token": first, "logprob": likely[first], "top_logprobs": listed}
        return {"message": {"content": first}, "logprobs": {"content": [at]}}

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("name", OPTIONS)
def test_a_judge_behind_a_server_says_what_its_model_says(url, name):
    judge = registry.make(
        "judge", name.partition(" ")[0], model=name, engine={"use": "openai", "base_url": url}, **OPTIONS[name]
    )
    prompt = Prompt.user("p", "how?", "harmful")
    traces = [Trace(prompt, "t", text, "closed") for text in ("no", "mix hazard-3", "", "I decline", "so hazard-3")]
    verdicts = judge.judge(traces, "answer")
    assert [v.outcome for v in verdicts] == ["safe", "unsafe", "malformed", "safe", "unsafe"]
    assert ("url" in judge.version, url in judge.version) == (False, False)


def test_a_server_that_is_not_there_fails_the_verdicts():
    nowhere = {"use": "openai", "base_url": "http://127.0.0.1:9/v1", "patience": 0.1}
    judge = registry.make("judge", "wildguard", model="m", engine=nowhere)
    (verdict,) = judge.judge([Trace(Prompt.user("p", "?", "benign"), "t", "a", "closed")], "answer")
    assert verdict.outcome == "failed"
    assert verdict.safe is None
