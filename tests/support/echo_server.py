"""A real server of completions that echoes a prompt with the likeliest tokens, as a local model gives them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import uvicorn
from chat_server import held_port, url_of
from fastapi import FastAPI
from fastapi import Request as HttpRequest


def echoed(model: Any, tokenizer: Any, body: dict[str, Any]) -> dict[str, Any]:
    ids = body["prompt"]
    with torch.no_grad():
        log_p = torch.log_softmax(model(torch.tensor([ids])).logits[0].float(), -1)
    said: list[float | None] = [None]
    top: list[dict[str, float] | None] = [None]
    for at, one in enumerate(ids[1:]):
        values, places = log_p[at].topk(body["logprobs"])
        table = {f"token_id:{int(i)}": float(v) for v, i in zip(values, places, strict=True)}
        table[f"token_id:{one}"] = float(log_p[at, one])  # servers add the one that stands there
        said.append(float(log_p[at, one]))
        top.append(table)
    found = {"tokens": [tokenizer.decode([i]) for i in ids], "token_logprobs": said, "top_logprobs": top}
    return {"choices": [{"text": "", "finish_reason": "length", "logprobs": found}]}


@contextmanager
def echo_server(model: Any, tokenizer: Any, *, mute: bool = False) -> Iterator[str]:
    """Its address up to `/v1`.

    Args:
        mute: it gives no log-probabilities.
    """
    app = FastAPI()

    @app.post("/v1/completions")
    async def complete(request: HttpRequest) -> dict[str, Any]:
        body = await request.json()
        return {"choices": [{"text": "x", "finish_reason": "length"}]} if mute else echoed(model, tokenizer, body)

    held = held_port()
    url = url_of(held)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    thread = threading.Thread(target=lambda: server.run(sockets=[held]), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield url
    finally:
        server.should_exit = True
        thread.join(10)
