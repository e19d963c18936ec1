"""The data sent to OpenRLHF with a prompt and returned with a rollout: one JSON label, and text.

OpenRLHF 0.11.2 (`utils/agent.py`, `SingleTurnAgentExecutor`) posts one rollout per call as `{"query": [q], "prompts":
[p], "labels": [l]}`: q is the decoded prompt and response with special tokens kept, p and l are the prompt and label of
the data set, unchanged. Everything else that a reward needs is in the label.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple, get_args

from lrmctl._util.text import whole_characters
from lrmctl.errors import RewardError
from lrmctl.thinking import UNKNOWN, Thinking, builtin_formats
from lrmctl.trace import GIVEN_THOUGHT, trace_from_text, written_thinking
from lrmctl.types import FinishReason, Kind, Prompt, Trace

VERSION = 1
_MAX_DEPTH = 50


class RewardCall(NamedTuple):
    """The three texts of one reward call."""

    query: str
    prompt: str
    label: str


class GivenThought(NamedTuple):
    """The beginning of a rollout's thinking that the policy did not write.

    Attributes:
        text: without an opening tag; it is the end of the rendered prompt, so that it is not trained.
        rewarded: the thinking that rewards see: all of it, or only what the policy wrote.
    """

    text: str
    rewarded: Literal["whole", "written"] = "whole"


def encode_label(
    prompt: Prompt,
    *,
    opened: bool,
    metric: str = "",
    thinking: Thinking = UNKNOWN,
    closed: bool = False,
    given: GivenThought | None = None,
) -> str:
    """The label of a training row: one line of ASCII JSON.

    Args:
        opened: the rendered prompt already opened the thinking (see `lrmctl.trace.opens_thinking`).
        thinking: the policy's thinking format, and what a rollout without thinking means.
        closed: the rendered prompt ends with closed thinking.
        metric: for a row of evaluation during training: the component whose value is wanted, or `reward`.
        given: the beginning of the thinking, after which the rendered prompt ends.
    """
    evaluated = {"metric": metric} if metric else {}
    told: dict[str, Any] = {"closed": True} if closed else {}
    if thinking != UNKNOWN:
        told["thinking"] = _told(thinking)
    if given is not None:
        told["given"] = given._asdict()
    return json.dumps({"lrmctl": VERSION, "opened": opened, **told, **evaluated, "prompt": prompt.to_json()})


def _told(thinking: Thinking) -> dict[str, Any]:
    """The thinking data of a label: built-in formats by name."""
    kept = {key: value for key, value in thinking.to_json().items() if key in ("mode", "on", "format")}
    form = thinking.format
    return kept | {"format": form.name} if form and builtin_formats().get(form.name) == form else kept


def thinking_of_label(label: str) -> tuple[Thinking, bool]:
    """The policy's thinking format, and whether the rendered prompt closed the thinking; unknown for labels of older
    runs."""
    row = json.loads(label)
    told = row.get("thinking") or {}
    if isinstance(named := told.get("format"), str):
        return replace(Thinking.from_json({**told, "format": None}), format=builtin_formats()[named]), _closed(row)
    return Thinking.from_json(told), _closed(row)


def given_of_label(label: str) -> GivenThought | None:
    """The given beginning of the thinking; None if there is none."""
    told = json.loads(label).get("given") if '"given"' in label else None
    if not isinstance(told, dict):
        return None
    return GivenThought(str(told["text"]), "written" if told.get("rewarded") == "written" else "whole")


def _closed(row: Mapping[str, Any]) -> bool:
    return bool(row.get("closed"))


def metric_of(label: str) -> str:
    """The metric of an evaluation row's label; empty for a training row's, and for an invalid label."""
    try:
        return str(json.loads(label).get("metric", "")) if '"metric"' in label else ""
    except (ValueError, AttributeError):
        return ""


def numbered(label: str, row: int) -> str:
    """The label of training row `row`, which distinguishes samples of a prompt that occurs in several rows.

    Raises:
        ValueError: not a label.
    """
    return json.dumps({**json.loads(label), "row": row})


def row_of(label: str) -> int | None:
    """The row number in a label."""
    try:
        row = json.loads(label).get("row") if '"row"' in label else None
    except (ValueError, AttributeError):
        return None
    return row if isinstance(row, int) and not isinstance(row, bool) else None


def decode_label(label: str) -> tuple[Prompt, bool]:
    """The prompt and whether its rendered form opened the thought.

    Raises:
        RewardError: the text is not a label of this version.
    """
    try:
        row = json.loads(label)
        if row["lrmctl"] != VERSION:
            raise ValueError(f"version {row['lrmctl']}, not {VERSION}")
        return _checked(Prompt.from_json(row["prompt"])), bool(row["opened"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        what = f"a rollout came back without lrmctl's label ({type(error).__name__}: {error}): {label[:120]!r}"
        raise RewardError(what, fix="train on the data set that lrmctl wrote into the run folder") from error


def _checked(prompt: Prompt) -> Prompt:
    """The prompt, if all of its fields have the right types.

    Raises:
        ValueError: a field has the wrong type.
    """
    texts = [
        prompt.id,
        prompt.source,
        prompt.reference or "",
        *(m[k] for m in prompt.messages for k in ("role", "content")),
    ]
    if not all(isinstance(text, str) for text in texts) or not prompt.messages:
        raise ValueError("id, source, reference and messages must be texts")
    if prompt.kind not in get_args(Kind):
        raise ValueError(f"the kind {prompt.kind!r:.40} is none")
    if not isinstance(prompt.meta, dict) or _deeper(prompt.meta, _MAX_DEPTH):
        raise ValueError("meta must be an object that is not nested deeply")
    return prompt


def _deeper(value: Any, levels: int) -> bool:
    """Whether lists and objects are nested more deeply than this."""
    if not isinstance(value, (dict, list)):
        return False
    inside = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_deeper(item, levels - 1) for item in inside)


def decode_call(query: str, prompt: str, label: str, end_tokens: Sequence[str]) -> Trace:
    """The rollout of a reward call as a trace.

    Args:
        query: decoded prompt and response, special tokens kept.
        prompt: the rendered prompt.
        label: made by `encode_label`.
        end_tokens: texts of the tokens that end a response; a response without one was truncated.

    Returns:
        A given thought is the beginning of the trace's thinking, and in its prompt's `meta`.

    Raises:
        RewardError: a foreign label, or a query that does not start with the prompt.
    """
    asked, opened = decode_label(label)
    if not query.startswith(prompt):
        what = f"prompt {asked.id!r} did not come back as it was sent (its text starts {query[:60]!r})"
        raise RewardError(what, fix="OpenRLHF cuts long prompts from the left: raise `max_len` or drop such prompts")
    text, ended = _without_end(whole_characters(query[len(prompt) :]), end_tokens)
    try:
        thinking, closed = thinking_of_label(label)
        given = given_of_label(label)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"the label of prompt {asked.id!r} does not say how the policy thinks ({type(error).__name__}: {error})"
        raise RewardError(what, fix="train on the data set that lrmctl wrote into the run folder") from error
    why: FinishReason = "stop" if ended else "length"
    how: dict[str, Any] = {"opened": opened, "finish_reason": why, "thinking": thinking, "closed_before": closed}
    if given is None:
        return trace_from_text(asked, text, **how)
    asked = replace(asked, meta={**asked.meta, GIVEN_THOUGHT: given.text})
    trace = trace_from_text(asked, given.text + text, **how)
    return replace(trace, thinking=written_thinking(trace).lstrip()) if given.rewarded == "written" else trace


def unread(label: str) -> Trace:
    """A trace without a response, for a call of which only the label can be parsed.

    Raises:
        RewardError: a foreign label.
    """
    prompt, _ = decode_label(label)
    return Trace(prompt, "", "", "absent", "error")


def read_call(body: bytes) -> RewardCall:
    """The three texts of a posted call.

    Raises:
        RewardError: not JSON, or not one rollout in OpenRLHF's format.
    """
    try:
        posted: Mapping[str, Any] = json.loads(body)
        texts = [posted[key] for key in ("query", "prompts", "labels")]
        if not all(isinstance(t, list) and len(t) == 1 and isinstance(t[0], str) for t in texts):
            raise ValueError("each of query, prompts and labels must be a list of one text")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        what = f"a reward call is not in OpenRLHF's form ({type(error).__name__}: {error}): {body[:120]!r}"
        raise RewardError(what, fix="this lrmctl speaks the form of openrlhf 0.11.2") from error
    return RewardCall(*(t[0] for t in texts))


def _without_end(text: str, end_tokens: Sequence[str]) -> tuple[str, bool]:
    """The text before its final end token, and whether there was one."""
    for token in end_tokens:
        if token and text.endswith(token):
            return text.removesuffix(token), True
    return text, False
