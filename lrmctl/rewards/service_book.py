"""All that the service remembers of rollouts: rows on disk, failures, groups, what rewards are normalised by.

Belongs to the service's event loop and is rebuilt from the rows when the service is started again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from lrmctl.errors import LrmctlError
from lrmctl.rewards.batcher import NoReward, Outcome
from lrmctl.rewards.compose import RolloutReward
from lrmctl.rewards.logs import extra_logs
from lrmctl.rewards.policy import FailurePolicy
from lrmctl.rewards.scorer_handle import Job
from lrmctl.rewards.service_groups import Groups
from lrmctl.rewards.service_metrics import ServiceMetrics
from lrmctl.rewards.service_spec import ServiceSpec
from lrmctl.runs.append import JsonlAppender
from lrmctl.runs.rows import read_jsonl
from lrmctl.types import Trace


class Entry(NamedTuple):
    """One rollout with its outcome.

    Attributes:
        failed: whose reward failed on which prompt and how; empty if none did.
        component: whose fault it is, if one component's.
    """

    trace: Trace | None
    metric: str
    reward: RolloutReward | None
    failed: str
    component: str
    given: float

    @property
    def phase(self) -> str:
        return "eval" if self.metric else "train"

    @property
    def total(self) -> float | None:
        return None if self.reward is None else self.reward.total

    @property
    def kind(self) -> str:
        return self.trace.prompt.kind if self.trace else ""


class Book:
    """Takes outcomes, writes rows, makes replies.

    Args:
        began: when the first service of this attempt began, by `time.time()`.
        tell: called after each change, before anybody is answered.

    Raises:
        OSError: the file of rollouts cannot be written.
    """

    def __init__(
        self, spec: ServiceSpec, metrics: ServiceMetrics, began: float, tell: Callable[[Book], None] = lambda _: None
    ) -> None:
        self._spec, self._metrics, self._began, self._tell = spec, metrics, began, tell
        self._names = tuple(c.label for c in spec.section.components)
        self.policy = FailurePolicy(spec.section)
        self.groups = Groups(spec.samples)
        self._normaliser = _normaliser(spec)
        self._log = JsonlAppender(spec.rollouts, fsync=spec.section.service.fsync)
        self._restore()

    def close(self) -> None:
        self._log.close()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the components, in recipe order."""
        return self._names

    def settle(self, jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> None:
        """Write the rollouts of a batch, then answer them. One that nobody waits for any more is not written."""
        pairs = [(j, o) for j, o in zip(jobs, outcomes, strict=True) if not j.gone]
        entries = [self._entry(job.trace, job.metric, outcome) for job, outcome in pairs]
        if self.policy.failure is None or not all(isinstance(o, NoReward) for o in outcomes):
            self.record(entries)
        now = time.monotonic()
        for (job, _), entry in zip(pairs, entries, strict=True):
            self._metrics.answered(now - job.arrived)
            job.future.set_result(self.reply(entry))
        for job in jobs:
            if not job.future.done():
                job.future.set_result(b"")  # to nobody; OpenRLHF posts it again

    def fail(self, trace: Trace | None, metric: str, what: str) -> bytes:
        """A rollout that no component can be blamed for: its reply."""
        entry = self._entry(trace, metric, NoReward(what))
        self.record([entry])
        return self.reply(entry)

    def end(self, error: Exception) -> None:
        """An error that no policy forgives."""
        self.policy.end(error)
        self._tell(self)

    def neutral(self, trace: Trace | None = None) -> bytes:
        """The reply to a call after the end: valid, and not written."""
        return self.reply(Entry(trace, "", None, "", "", self._spec.section.neutral_value))

    def record(self, entries: Sequence[Entry]) -> None:
        first = self._log.rows + 1
        try:
            self._log.write_all([self._row(entry, first + i) for i, entry in enumerate(entries)])
        except OSError as error:
            self.policy.end(LrmctlError(f"cannot write rollouts: {error.strerror}", str(self._spec.rollouts)))
        for i, entry in enumerate(entries):
            self._metrics.rollout(entry.phase, entry.kind, entry.reward, entry.failed, entry.component)
            self.policy.seen(entry.failed, f"{self._spec.rollouts}:{first + i}")
        self._tell(self)

    def reply(self, entry: Entry) -> bytes:
        """OpenRLHF's form. `scores`, which feed its dynamic filtering, lie in [0, 1] and are not normalised."""
        total = self._spec.section.neutral_value if entry.total is None else entry.total
        reward, value, score = entry.reward, entry.given, total
        if reward is not None:
            value = reward.metric(entry.metric, value) if entry.metric else value
            score = reward.metric(self._spec.score_of, total)
        logs = extra_logs(self._names, entry.trace, reward, total)
        return json.dumps({"rewards": value, "scores": min(1.0, max(0.0, score)), "extra_logs": logs}).encode()

    def _entry(self, trace: Trace | None, metric: str, outcome: Outcome) -> Entry:
        neutral = self._spec.section.neutral_value
        if isinstance(outcome, NoReward):
            prompt = f"prompt {trace.prompt.id!r}: " if trace else ""
            return Entry(trace, metric, None, prompt + outcome.error, outcome.component, neutral)
        assert trace is not None
        given = outcome.total
        if given is not None and self._normaliser is not None and not metric:
            given = self._normaliser.apply(trace.prompt.kind, given)
        failed = outcome.blame(trace)
        return Entry(trace, metric, outcome, failed, outcome.failed_component, neutral if given is None else given)

    def _row(self, entry: Entry, n: int) -> dict[str, Any]:
        trace, reward = entry.trace, entry.reward
        prompt_id = trace.prompt.id if trace else ""
        group, sample = self.groups.place(entry.phase, prompt_id, entry.total) if trace else ("", 0)
        return {
            "n": n,
            "attempt": self._spec.attempt,
            "phase": entry.phase,
            "seconds": round(time.time() - self._began, 3),
            "prompt_id": prompt_id,
            "group": group,
            "sample": sample,
            "kind": entry.kind,
            "prompt": trace.prompt.text if trace else "",
            "thinking": trace.thinking if trace else "",
            "answer": trace.answer if trace else "",
            "thinking_state": trace.thinking_state if trace else "",
            "finish_reason": trace.finish_reason if trace else "error",
            "irregular": list(trace.irregular) if trace else [],
            "reward": entry.given,
            "total": entry.total,
            "error": reward.error if reward else entry.failed,
            "components": reward.to_json() if reward else {},
        }

    def _restore(self) -> None:
        """Take up what an earlier service of this attempt knew; what is normalised by goes on from all attempts."""
        for row in self._rows():
            if self._normaliser is not None:
                self._normaliser.restore([row])
            if row.get("attempt") != self._spec.attempt:
                continue
            if row.get("group"):
                self.groups.place(row["phase"], row["prompt_id"], row["total"])
            blame = f"the reward of prompt {row['prompt_id']!r} failed: {row['error']}" if row["error"] else ""
            self.policy.seen(blame, f"{self._spec.rollouts}:{row['n']}")

    def _rows(self) -> Iterator[dict[str, Any]]:
        """Rows of the file; none where it is no ordinary one."""
        if self._spec.rollouts.is_file():
            yield from read_jsonl(self._spec.rollouts)


def _normaliser(spec: ServiceSpec) -> Any:
    if spec.section.normalise is None:
        return None
    from lrmctl.rewards.normalise import KindNormaliser

    return KindNormaliser(spec.section)
