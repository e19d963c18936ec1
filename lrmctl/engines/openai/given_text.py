"""Log-probabilities of given text from a completions server: the prompt is echoed with the most likely tokens.

Pure functions, no network. Tokens are sent as ids, so that the server scores exactly what the model wrote.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lrmctl.engines.openai.pool import RequestOutcome
from lrmctl.engines.openai.protocol import UnreadableError, read_choice
from lrmctl.engines.probabilities import TopLogprobs
from lrmctl.errors import LrmctlError


def echo_body(model: str, ids: Sequence[int], top_k: int, extra: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Path and body of a request for the log-probabilities of all tokens of a text; the one generated token is
    ignored."""
    body = {"model": model, "prompt": list(ids), "max_tokens": 1, "temperature": 1.0, "echo": True, "logprobs": top_k}
    return "/completions", {**body, **extra}


def top_logprobs_of(outcome: RequestOutcome, begin: int, end: int, top_k: int) -> TopLogprobs:
    """The log-probabilities in a server's response.

    Raises:
        LrmctlError: the request failed, or the response has another format.
    """
    try:
        if not outcome.error:
            return read_top_logprobs(outcome.data, begin, end, top_k)
        why = outcome.error
    except UnreadableError as error:
        why = str(error)
    raise LrmctlError(why, "analysis.engine", "ask another server, or say `analysis.entropy: false`")


def read_top_logprobs(data: bytes, begin: int, end: int, top_k: int) -> TopLogprobs:
    """The log-probabilities of the tokens from `begin` to `end` of the text.

    Raises:
        UnreadableError: the server has echoed no log-probabilities, or not for all tokens.
    """
    import numpy as np

    choice, _ = read_choice(data)
    found = choice.get("logprobs") or {}
    said, likeliest = found.get("token_logprobs") or [], found.get("top_logprobs") or []
    if len(said) < end or len(likeliest) < end:
        what = f"the server echoed log-probabilities of {len(said)} tokens, and {end} were asked for"
        raise UnreadableError(f"{what}; it has to support `echo` with `logprobs`")
    top = np.full((end - begin, top_k), -np.inf, dtype=np.float32)
    for i, table in enumerate(likeliest[begin:end]):
        values = sorted((table or {}).values(), reverse=True)[:top_k]
        top[i, : len(values)] = values
    return TopLogprobs(top, np.asarray(said[begin:end], dtype=np.float32))
