"""A reward behind the real reward service, called over HTTP as a trainer calls it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl.types import Part, Trace

if TYPE_CHECKING:
    from lrmctl.rewards.service.server import RewardService

END = "<|end|>"
"""The end-of-text token of the calls."""
_PATIENCE = 120.0


@dataclass(frozen=True)
class RewardClient:
    """Calls a running reward service.

    Attributes:
        service: the service itself.
        file: JSONL file of all rollouts scored so far, as in a run's folder.
    """

    service: RewardService
    file: Path

    def score(self, traces: Sequence[Trace]) -> list[float]:
        """The reward of each trace, all asked for at once, as after a step's rollouts.

        The traces of one prompt are samples of one group. What the service gets is text, in the format `<think>`: a
        trace arrives as a trainer's would, without the fields that only an engine knows.

        Raises:
            LrmctlError: the reward failed, and a training run would end: its own error.
        """
        import httpx

        def one(client: httpx.Client, call: Mapping[str, Any]) -> float:
            reply = client.post(self.service.url, json=call)
            reply.raise_for_status()
            return float(reply.json()["rewards"])

        with httpx.Client(timeout=_PATIENCE) as client, ThreadPoolExecutor(max(1, len(traces))) as pool:
            rewards = list(pool.map(lambda trace: one(client, _call(trace)), traces))
        if error := self.service.failure():
            raise error
        return rewards

    def rollouts(self) -> list[dict[str, Any]]:
        """The rows written so far, with the score of every component."""
        from lrmctl.runs.jsonl import read_jsonl

        return list(read_jsonl(self.file))


@contextmanager
def reward_client(
    *components: Mapping[str, Any] | str,
    part: Part | None = None,
    options: Mapping[str, Any] | None = None,
    samples_per_prompt: int = 0,
    folder: Path | None = None,
) -> Iterator[RewardClient]:
    """Serve a reward, and call it. It is scored in a process of its own, so it must be installed or lie in a file.

    Args:
        components: as in a recipe: the name of a registered reward, or a mapping such as
            `{"use": "brevity", "weight": 0.1}` or `{"fn": "./mine.py:score"}`.
        part, options: of components given by name.
        samples_per_prompt: samples of each prompt that form a group, for rewards that compare them.
        folder: where rollouts are written; a temporary one by default.

    Raises:
        LrmctlError: there is no such reward, or it does not take the options.
    """
    from lrmctl.recipe.schema.recipes import RewardSection
    from lrmctl.rewards.service.server import RewardService

    own = {key: value for key, value in (("part", part), ("options", options)) if value is not None}
    section = RewardSection.model_validate(
        {"components": [{"use": one, **own} if isinstance(one, str) else dict(one) for one in components]}
    )
    with tempfile.TemporaryDirectory(prefix="lrmctl-reward-") as scratch:
        file = (folder or Path(scratch)) / "rollouts.jsonl"
        samples = {"train": samples_per_prompt}
        with RewardService(
            section, rollouts=file, end_tokens=[END], samples=samples, log=Path(scratch) / "rewards.log"
        ) as service:
            yield RewardClient(service, file)


def _call(trace: Trace) -> dict[str, list[str]]:
    """The call that a trainer makes for a rollout with this text."""
    from lrmctl.rewards.service.protocol import encode_label, numbered
    from lrmctl.thinking import Thinking, default_format

    form, state = default_format(), trace.thinking_state
    opened = state in ("closed", "unclosed")
    rendered = f"{trace.prompt.text}\n{form.opening if opened else ''}"
    said = {
        "closed": f"{trace.thinking}{form.closing}{trace.answer}",
        "unclosed": trace.thinking,
    }.get(state, trace.answer)
    end = END if trace.finish_reason == "stop" else ""
    thinking = Thinking(form, "does not think" if state == "off" else "thinks", state != "off")
    label = numbered(encode_label(trace.prompt, opened=opened, thinking=thinking), 0)
    return {"query": [f"{rendered}{said}{end}"], "prompts": [rendered], "labels": [label]}
