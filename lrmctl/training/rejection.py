"""Rejection sampling: sample from a model and keep what a reward accepts as demonstrations.

The control that RL must beat. Completions are stored as they arrive, so a killed call resumes; the same seed gives the
same samples and hence the same demonstrations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrmctl.data.sources import Demonstration, load_prompts
from lrmctl.engines.base import Rendering
from lrmctl.errors import LrmctlError
from lrmctl.recipe.schema.recipes import Rejection
from lrmctl.rewards.compose import ComposedReward, RolloutReward
from lrmctl.rewards.grouping import batches_of_groups
from lrmctl.rewards.service.failure_policy import FailurePolicy
from lrmctl.rows.prompts import key_of
from lrmctl.runs.folder import write_json
from lrmctl.runs.jsonl import write_jsonl
from lrmctl.types import Trace

SCORE_AT_ONCE = 256


@dataclass(frozen=True)
class Sample:
    """One sample, its reward, whether it is accepted, and whether it becomes a demonstration."""

    trace: Trace
    reward: RolloutReward
    accepted: bool
    kept: bool

    def to_json(self) -> dict[str, Any]:
        """JSON form with the keys of `rollouts.jsonl`."""
        trace = self.trace
        return {
            "prompt_id": trace.prompt.id,
            "kind": trace.prompt.kind,
            "sample": trace.sample,
            "prompt": trace.prompt.text,
            "thinking": trace.thinking,
            "answer": trace.answer,
            "thinking_state": trace.thinking_state,
            "finish_reason": trace.finish_reason,
            "reward": self.reward.total,
            "error": self.reward.error,
            "accepted": self.accepted,
            "kept": self.kept,
            "components": self.reward.to_json(),
        }


def rejection_sample(
    model: Path,
    rejection: Rejection,
    *,
    seed: int,
    out: Path,
    on_progress: Callable[[int, int], None] | None = None,
    rendering: Rendering | None = None,
) -> list[Demonstration]:
    """Demonstrations from the model's own accepted samples, ordered by prompt, then sample.

    Writes `data/rejection.sqlite` (completions), `data/rejection.jsonl` (every sample with its reward) and
    `data/rejection.json` (acceptance by prompt kind) below `out`.

    Args:
        model: HF checkpoint folder.
        on_progress: called with (completions done, total).
        rendering: template arguments and the model's thinking format.

    Raises:
        LrmctlError: nothing was accepted, a name in the recipe is unknown, or the store failed.
        RewardError: rewards failed beyond what the recipe's `on_failure` tolerates.
    """
    composed = ComposedReward(rejection.reward)
    traces = _sample(model, rejection, seed, out, on_progress, rendering or Rendering())
    samples = _judge(traces, _score(composed, traces, rejection), rejection)
    write_jsonl(out / "data" / "rejection.jsonl", (sample.to_json() for sample in samples))
    write_json(
        out / "data" / "rejection.json", {"keep_at_least": rejection.keep_at_least, "kinds": acceptance(samples)}
    )
    kept = [Demonstration(s.trace.prompt, s.trace.thinking, s.trace.answer) for s in samples if s.kept]
    return kept or _nothing(samples, rejection, out)


def acceptance(samples: Iterable[Sample]) -> dict[str, dict[str, float]]:
    """By prompt kind: samples, accepted, kept, failed, and the acceptance rate of those that did not fail."""
    by_kind: dict[str, Counter[str]] = {}
    for s in samples:
        counts = by_kind.setdefault(s.trace.prompt.kind, Counter(samples=0, accepted=0, kept=0, failed=0))
        counts.update(samples=1, accepted=s.accepted, kept=s.kept, failed=bool(s.reward.error))
    return {kind: {**counts, "acceptance": _rate(counts)} for kind, counts in by_kind.items()}


def _rate(counts: Mapping[str, int]) -> float:
    scored = counts["samples"] - counts["failed"]
    return counts["accepted"] / scored if scored else 0.0


def _sample(
    model: Path,
    rejection: Rejection,
    seed: int,
    out: Path,
    on_progress: Callable[[int, int], None] | None,
    rendering: Rendering,
) -> list[Trace]:
    from lrmctl.engines.base import Sampling
    from lrmctl.engines.hf.engine import HfEngine
    from lrmctl.engines.store import Store, sample_traces

    rollout = rejection.rollout
    how = Sampling(temperature=rollout.temperature, top_p=rollout.top_p, max_new_tokens=rollout.max_new_tokens)
    prompts = load_prompts(rejection.prompts)
    with Store(out / "data" / "rejection.sqlite") as store:
        engine = HfEngine(model, rendering=rendering)
        return sample_traces(engine, store, prompts, how, rejection.samples_per_prompt, seed, on_progress)


def _score(composed: ComposedReward, traces: Sequence[Trace], rejection: Rejection) -> list[RolloutReward]:
    """Rewards of all samples; raises once failures exceed what the recipe tolerates."""
    policy, rewards = FailurePolicy(rejection.reward), dict[int, RolloutReward]()
    for batch in batches_of_groups([key_of(trace.prompt) for trace in traces], SCORE_AT_ONCE):
        for i, reward in zip(batch, composed.score([traces[i] for i in batch]), strict=True):
            policy.seen(reward.blame(traces[i]))
            rewards[i] = reward
        if policy.failure:
            raise policy.failure
    return [rewards[i] for i in range(len(traces))]


def _judge(traces: Sequence[Trace], rewards: Sequence[RolloutReward], rejection: Rejection) -> list[Sample]:
    """Accept samples by reward alone; keep accepted ones up to `max_per_prompt`."""
    limit, kept_of, samples = rejection.max_per_prompt, Counter[str](), list[Sample]()
    for trace, reward in zip(traces, rewards, strict=True):
        accepted = reward.total is not None and reward.total >= rejection.keep_at_least
        key = key_of(trace.prompt)
        kept = accepted and (limit is None or kept_of[key] < limit)
        kept_of[key] += kept
        samples.append(Sample(trace, reward, accepted, kept))
    return samples


def _nothing(samples: Sequence[Sample], rejection: Rejection, out: Path) -> list[Demonstration]:
    totals = [s.reward.total for s in samples if s.reward.total is not None]
    best = f"; the best reward is {max(totals):g}" if totals else ""
    raise LrmctlError(
        f"none of {len(samples)} samples reaches a reward of {rejection.keep_at_least:g}{best}",
        where=str(out / "data" / "rejection.jsonl"),
        fix="lower `keep_at_least`, draw more samples per prompt, or look at the samples",
    )
