"""The service's state: rows on disk, failures, groups, normalisation.

Owned by the service's event loop and rebuilt from the rows when the service restarts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from lrmctl._util.jsonl import JsonlAppender
from lrmctl.errors import LrmctlError
from lrmctl.rewards.service.batcher import NoReward, Outcome
from lrmctl.rewards.service.config import ServiceSpec
from lrmctl.rewards.service.failure_policy import FailurePolicy
from lrmctl.rewards.service.groups import Groups, RewardReply, rounded
from lrmctl.rewards.service.held import AGAIN, Held, HeldOutcome, PendingReply
from lrmctl.rewards.service.logs import extra_logs
from lrmctl.rewards.service.metrics import ServiceMetrics
from lrmctl.rewards.service.neutral import NeutralAnswers
from lrmctl.rewards.service.replay import WrittenRollout, WrittenRollouts
from lrmctl.rewards.service.worker_handle import ScoringJob
from lrmctl.runs.jsonl import read_jsonl
from lrmctl.trace import GIVEN_THOUGHT
from lrmctl.types import Trace


class RolloutLedger:
    """Receives outcomes, writes rows, makes replies.

    Args:
        began: start time of the first service of this attempt, by `time.monotonic()`, which all processes share.
        tell: called after each change, before any reply.

    Raises:
        OSError: the file of rollouts cannot be written.
    """

    def __init__(
        self,
        spec: ServiceSpec,
        metrics: ServiceMetrics,
        began: float,
        tell: Callable[[RolloutLedger], None] = lambda _: None,
    ) -> None:
        self._spec, self._metrics, self._began, self._tell = spec, metrics, began, tell
        self._names = tuple(c.label for c in spec.section.components)
        self.policy = FailurePolicy(spec.section)
        self.groups = Groups(spec.samples)
        self._neutral, self._held = NeutralAnswers(spec), Held(self._answer)
        self._normaliser, self._written = _normaliser(spec), WrittenRollouts()
        self._log = JsonlAppender(spec.rollouts, fsync=spec.section.service.fsync)
        self._restore()

    def close(self) -> None:
        self._log.close()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the components, in recipe order."""
        return self._names

    def settle(self, jobs: Sequence[ScoringJob], outcomes: Sequence[Outcome], *, may_wait: bool = True) -> None:
        """Write the rollouts of a batch, then answer them. One whose caller has gone is not written.

        A failed one waits for the others of its group if the recipe tolerates failures.

        Args:
            may_wait: False answers all of them at once, because they have waited for their group.
        """
        waiting = [PendingReply(j, self._entry(j, o)) for j, o in zip(jobs, outcomes, strict=True) if not j.gone]
        if self.policy.failure is not None and all(isinstance(o, NoReward) for o in outcomes):
            self._dismiss(waiting)
        else:
            for w in waiting:
                self._place(w.entry)
            held = [w for w in waiting if may_wait and self._must_wait(w.entry)]
            for w in held:
                self._held.add(w)
            self._answer([w for w in waiting if w not in held])
        for job in jobs:
            if job.gone and not job.future.done():
                job.future.set_result(AGAIN)  # to nobody; OpenRLHF sends it again

    def replay(self, job: ScoringJob) -> bool:
        """Answer a call again whose rollout an earlier service wrote as one of a complete group."""
        entry = self._written.take(job)
        if entry is not None:
            job.future.set_result(self.reply(entry))
        return entry is not None

    def end(self, error: Exception) -> None:
        """Record an error that always ends the run."""
        self.policy.end(error)
        self._dismiss(self._held.all())
        self._tell(self)

    def neutral(self, trace: Trace | None = None) -> bytes:
        """The reply to a call after the end: valid, and not written."""
        return self.reply(HeldOutcome(trace, "", None, "", "", answer=RewardReply(0.0, 0.0)))

    def _answer(self, waiting: Sequence[PendingReply]) -> None:
        """Write and answer these rollouts, and those that waited for them."""
        all_of = [*waiting, *self._held.ready(self._neutral.knows)]
        for w in all_of:
            if w.entry.answer is None:
                w.entry.answer = self._neutral.answer(w.entry.phase, w.entry.kind, w.entry.group)
        for w in all_of:
            self._close(w.entry)
        self.record([w.entry for w in all_of])
        now = time.monotonic()
        for w in all_of:
            self._metrics.answered(now - w.job.arrived)
            w.job.future.set_result(self.reply(w.entry))
        if self.policy.failure is not None:
            self._dismiss(self._held.all())

    def _dismiss(self, waiting: Sequence[PendingReply]) -> None:
        """Answer a call after the end."""
        for w in waiting:
            if not w.job.future.done():
                w.job.future.set_result(self.neutral(w.entry.trace))

    def _place(self, entry: HeldOutcome) -> None:
        """Find the rollout's group, and its reply if its reward did not fail."""
        trace = entry.trace
        assert trace is not None
        entry.place = self.groups.place(entry.phase, trace.prompt.id, entry.row)
        if entry.reward is not None and entry.total is not None:
            self._scored(entry, entry.total if entry.metric else self._normalised(entry, entry.total))

    def _normalised(self, entry: HeldOutcome, total: float) -> float:
        """The reward to train on, normalised by one scale for the whole group."""
        if entry.reward is not None and entry.reward.normalised is not None:
            return rounded(entry.reward.normalised)
        if self._normaliser is None or entry.group is None:
            return rounded(total)
        scale: tuple[float, float] = self._normaliser.seen(entry.kind, total)
        if entry.group.wanted > 1:
            scale = entry.group.scale = entry.group.scale or scale
        return rounded((total - scale[0]) / scale[1])

    def _scored(self, entry: HeldOutcome, given: float) -> None:
        reward, total, place = entry.reward, entry.total, entry.place
        assert reward is not None
        assert total is not None
        assert place is not None
        value = reward.metric(entry.metric, given) if entry.metric else given
        score = reward.metric(self._spec.score_of, total)
        entry.answer = RewardReply(value, min(1.0, max(0.0, score)))
        place.group.scored(entry.answer, total)
        self._neutral.scored(entry.phase, entry.kind, entry.answer)

    def _must_wait(self, entry: HeldOutcome) -> bool:
        """Whether a failed rollout must wait: its group is incomplete, or nothing of the step was scored yet."""
        if entry.answer is not None or self._spec.section.on_failure == "abort":
            return False
        in_group = entry.group is not None and entry.group.wanted > 1
        return in_group or (self._spec.step > 0 and not self._neutral.knows(entry.phase))

    def _close(self, entry: HeldOutcome) -> None:
        trace, group = entry.trace, entry.group
        if trace is not None and group is not None and group.complete and not group.closed:
            group.closed = True
            self.groups.close(entry.phase, trace.prompt.id, entry.row, group)

    def record(self, entries: Sequence[HeldOutcome]) -> None:
        first = self._log.rows + 1
        try:
            self._log.write_all([self._row(entry, first + i) for i, entry in enumerate(entries)])
        except OSError as error:
            what, fix = f"cannot write rollouts: {error.strerror}", "see to the file, then start again: rows stay"
            self.policy.end(LrmctlError(what, str(self._spec.rollouts), fix))
        for i, entry in enumerate(entries):
            self._metrics.rollout(entry.phase, entry.kind, entry.reward, entry.failed, entry.component)
            self.policy.seen(entry.failed, f"{self._spec.rollouts}:{first + i}")
        self._tell(self)

    def reply(self, entry: HeldOutcome) -> bytes:
        """The reply in OpenRLHF's format. `scores`, used by dynamic filtering, are in [0, 1] and not normalised."""
        answer = entry.answer
        assert answer is not None
        logs = extra_logs(self._names, entry.trace, entry.reward)
        return json.dumps({"rewards": answer.reward, "scores": answer.score, "extra_logs": logs}).encode()

    def _entry(self, job: ScoringJob, outcome: Outcome) -> HeldOutcome:
        trace = job.trace
        if isinstance(outcome, NoReward):
            what = f"prompt {trace.prompt.id!r}: {outcome.error}"
            return HeldOutcome(trace, job.metric, None, what, outcome.component, job.row)
        return HeldOutcome(trace, job.metric, outcome, outcome.blame(trace), outcome.failed_component, job.row)

    def _row(self, entry: HeldOutcome, n: int) -> dict[str, Any]:
        trace, reward = entry.trace, entry.reward
        place = entry.place
        return {
            "n": n,
            "attempt": self._spec.attempt,
            "phase": entry.phase,
            "seconds": round(time.monotonic() - self._began, 3),
            "prompt_id": trace.prompt.id if trace else "",
            "row": entry.row,
            "group": place.group.name if place else "",
            "sample": place.sample if place else 0,
            "kind": entry.kind,
            "prompt": trace.prompt.text if trace else "",
            "thinking": trace.thinking if trace else "",
            "answer": trace.answer if trace else "",
            "thinking_state": trace.thinking_state if trace else "",
            "finish_reason": trace.finish_reason if trace else "error",
            "thinking_tokens": trace.thinking_tokens if trace else None,
            "answer_tokens": trace.answer_tokens if trace else None,
            "irregular": list(trace.irregular) if trace else [],
            "reward": entry.answer.reward if entry.answer else None,
            "total": entry.total,
            **({"given": given} if (given := _given(trace)) else {}),
            "error": reward.error if reward else entry.failed,
            "components": reward.to_json() if reward else {},
        }

    def _restore(self) -> None:
        """Restore the state of an earlier service of this attempt; normalisation continues from all attempts."""
        for row in self._rows():
            if self._normaliser is not None:
                self._normaliser.restore([row])
            if row.get("attempt") != self._spec.attempt:
                continue
            if row.get("group"):
                self._take_up(row)
            blame = f"the reward of prompt {row['prompt_id']!r} failed: {row['error']}" if row["error"] else ""
            self.policy.seen(blame, f"{self._spec.rollouts}:{row['n']}")

    def _take_up(self, row: Mapping[str, Any]) -> None:
        """Restore a row of this attempt: its place in its group, and its reply."""
        phase, number, total = row["phase"], row.get("row"), row["total"]
        place = self.groups.place(phase, row["prompt_id"], number)
        score = None
        if total is not None:
            component = (row.get("components") or {}).get(self._spec.score_of) or {}
            value = component.get("value")
            score = min(1.0, max(0.0, total if value is None else value))
            answer = RewardReply(row["reward"], score)
            place.group.scored(answer, total)
            self._neutral.scored(phase, row["kind"], answer)
        if self._spec.gathers(phase, row["kind"]):
            self._written.add(WrittenRollout(row, place, score))
        if place.group.complete:
            self.groups.close(phase, row["prompt_id"], number, place.group)

    def _rows(self) -> Iterator[dict[str, Any]]:
        """Rows of the file; none if it is not a regular file."""
        if self._spec.rollouts.is_file():
            yield from read_jsonl(self._spec.rollouts)


def _given(trace: Trace | None) -> str:
    """The beginning of the thinking that the policy did not write."""
    return str(trace.prompt.meta.get(GIVEN_THOUGHT, "")) if trace else ""


def _normaliser(spec: ServiceSpec) -> Any:
    if spec.section.normalise != "kind":
        return None
    from lrmctl.rewards.service.normalise import KindNormaliser

    return KindNormaliser(spec.section)
