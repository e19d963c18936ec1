"""Gathers the samples of a prompt where their rewards depend on each other.

OpenRLHF posts samples one by one, as they are generated. Components that compare nothing score a sample on arrival;
then it waits here until its group is complete, is compared with the others in a scorer process, and is answered
together with them. A call that has waited 170 s is turned away with 503 and made again by OpenRLHF; its sample keeps
its place meanwhile. Runs in the service's event loop; knows no HTTP and writes no files.

A group that is still incomplete `group_wait` seconds after its first sample is scored as it is. A sample that comes
later is compared with the others, whose rewards stay what they are. A sample that is alone by then has failed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from lrmctl.rewards.component_group import normalise_group
from lrmctl.rewards.compose import GroupToScore, RolloutReward
from lrmctl.rewards.service.batcher import NoReward, Outcome, Outcomes
from lrmctl.rewards.service.config import PATIENCE, ServiceSpec
from lrmctl.rewards.service.held import AGAIN
from lrmctl.rewards.service.ledger import RolloutLedger
from lrmctl.rewards.service.worker_handle import AnyJob, GroupJob, ScoringJob
from lrmctl.types import Score

KEEP_S = 3600.0
"""Seconds for which an incomplete group, and a reward whose caller is away, are kept."""
GroupKey = tuple[str, str, int | None]
"""Phase, prompt id, row of the training data."""


@dataclass(eq=False)
class WaitingMember:
    """One sample that waits for its group.

    Attributes:
        job: the latest call for it.
        outcome: its reward so far.
    """

    job: ScoringJob
    outcome: Outcome

    @property
    def is_away(self) -> bool:
        """Whether its call was turned away or broken off, and will be made again."""
        return self.job.gone or self.job.future.done()


@dataclass(eq=False)
class GatheredGroup:
    """The samples of a prompt that have arrived.

    Attributes:
        wanted: samples of a complete group.
        closed: it was scored before it was complete; more members are compared with these.
    """

    key: GroupKey
    wanted: int
    members: list[WaitingMember] = field(default_factory=list)
    closed: bool = False
    timer: asyncio.TimerHandle | None = None


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a `GroupJob` compares: the members to answer, and those that were answered before."""

    members: Sequence[WaitingMember]
    earlier: Sequence[WaitingMember] = ()


class GroupGatherer:
    """Stands between the batcher, which scores, and the ledger, which answers.

    Attributes:
        submit: sends a group to the scorers; set once there is a batcher.
        weight: total size in bytes of the calls of waiting samples.
    """

    def __init__(self, spec: ServiceSpec, ledger: RolloutLedger, patience: float = PATIENCE) -> None:
        self.submit: Callable[[GroupJob], None] = lambda _: None
        self.weight = 0
        self._spec, self._ledger, self._patience = spec, ledger, patience
        self._groups: dict[GroupKey, GatheredGroup] = {}
        self._waiting: dict[WaitingMember, None] = {}
        self._by_key: dict[bytes, list[WaitingMember]] = {}
        self._owed: dict[bytes, list[Outcome]] = {}

    @property
    def waiting(self) -> int:
        """Number of samples that wait for their group."""
        return len(self._waiting)

    def returned(self, job: ScoringJob) -> bool:
        """Whether the call is a repeated one whose sample waits here or has its reward; it is then taken care of."""
        if self._ledger.replay(job):
            return True
        if owed := self._owed.get(job.key):
            outcome = owed.pop()
            if not owed:
                del self._owed[job.key]
            self._answer([job], [outcome])
            return True
        member = next((m for m in self._by_key.get(job.key, ()) if m.is_away), None)
        if member is None:
            return False
        member.job = job
        self._limit(member)
        return True

    def settle(self, jobs: Sequence[AnyJob], outcomes: Outcomes) -> None:
        """Take the outcomes of a batch: those that depend on no other sample are answered at once."""
        alone: list[tuple[ScoringJob, Outcome]] = []
        for job, outcome in zip(jobs, outcomes, strict=True):
            if isinstance(job, GroupJob):
                self._compared(job, outcome)
            elif not isinstance(outcome, list):
                if self._must_gather(job, outcome):
                    self._join(WaitingMember(job, outcome))
                else:
                    alone.append((job, outcome))
        if alone:
            self._ledger.settle([job for job, _ in alone], [outcome for _, outcome in alone])
        self._dismiss_after_end()

    def end(self, error: Exception) -> None:
        """Record an error that always ends the run, and answer all who wait."""
        self._ledger.end(error)
        self._dismiss_after_end()

    def _must_gather(self, job: ScoringJob, outcome: Outcome) -> bool:
        section, ledger = self._spec.section, self._ledger
        if job.gone or ledger.policy.failure is not None:
            return False
        if section.on_failure == "abort" and outcome.error:
            return False  # it ends the run, and need not wait for that
        return self._spec.gathers(job.phase, job.trace.prompt.kind)

    def _join(self, member: WaitingMember) -> None:
        job = member.job
        key = (job.phase, job.trace.prompt.id, job.row)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = GatheredGroup(key, self._spec.samples[job.phase])
            left = job.arrived + self._spec.section.service.group_wait - time.monotonic()
            group.timer = asyncio.get_running_loop().call_later(max(0.0, left), self._overdue, group)
        self._waiting[member] = None
        self._by_key.setdefault(job.key, []).append(member)
        self.weight += job.weight
        self._limit(member)
        earlier = tuple(group.members)
        group.members.append(member)
        if len(group.members) >= group.wanted:
            self._forget(group)
        if group.closed:
            self._compare([member], earlier)
        elif len(group.members) >= group.wanted:
            self._compare(group.members)

    def _limit(self, member: WaitingMember) -> None:
        """Turn the member's call away before its caller gives up."""
        job = member.job

        def turn_away() -> None:
            if not job.future.done():
                job.future.set_result(AGAIN)

        left = job.arrived + self._patience - time.monotonic()
        timer = asyncio.get_running_loop().call_later(max(0.0, left), turn_away)
        job.future.add_done_callback(lambda _: timer.cancel())

    def _overdue(self, group: GatheredGroup) -> None:
        group.closed = True
        group.timer = asyncio.get_running_loop().call_later(KEEP_S, self._forget, group)
        self._compare(list(group.members))

    def _forget(self, group: GatheredGroup) -> None:
        if group.timer is not None:
            group.timer.cancel()
        if self._groups.get(group.key) is group:
            del self._groups[group.key]

    def _compare(self, members: Sequence[WaitingMember], earlier: Sequence[WaitingMember] = ()) -> None:
        """Score these members among themselves and the earlier ones, and answer them."""
        scored = [m for m in (*earlier, *members) if isinstance(m.outcome, RolloutReward)]
        if len(scored) < 2:
            what = f"no other sample of the prompt has come within {self._spec.section.service.group_wait:g} s"
            what = what if len(members) + len(earlier) < 2 else "no other sample of the prompt could be scored"
            self._finish(members, [NoReward(what) if m in scored else m.outcome for m in members])
        elif members[0].job.trace.prompt.kind not in self._spec.compared_kinds:
            self._normalise(members, [m.outcome for m in members], [m.outcome for m in earlier])
        else:
            parts = [m.outcome.components for m in scored if isinstance(m.outcome, RolloutReward)]
            group = GroupToScore([m.job.trace for m in scored], parts)
            key = b"".join(m.job.key for m in scored)
            self.submit(GroupJob(group, Comparison(members, earlier), key, time.monotonic()))

    def _compared(self, job: GroupJob, outcome: Outcome | list[RolloutReward]) -> None:
        comparison: Comparison = job.members
        both = [*comparison.earlier, *comparison.members]
        scored = [m for m in both if isinstance(m.outcome, RolloutReward)]
        if isinstance(outcome, list):
            given: dict[WaitingMember, Outcome] = dict(zip(scored, outcome, strict=True))
        else:
            given = {m: self._failed(m.outcome, outcome) for m in scored}
        new, old = ([given.get(m, m.outcome) for m in some] for some in (comparison.members, comparison.earlier))
        self._normalise(comparison.members, new, old)

    def _failed(self, so_far: Outcome, outcome: Outcome) -> Outcome:
        """The outcome of a member whose group could not be compared; it keeps its other scores."""
        if isinstance(so_far, NoReward) or isinstance(outcome, RolloutReward) or not outcome.component:
            return outcome
        components = {**so_far.components, outcome.component: Score(error=outcome.error)}
        return replace(so_far, total=None, components=components, error=f"{outcome.component}: {outcome.error}")

    def _normalise(
        self, members: Sequence[WaitingMember], outcomes: Sequence[Outcome], earlier: Sequence[Outcome]
    ) -> None:
        """Answer members, after normalising within their group if the recipe asks for it."""
        section = self._spec.section
        if section.normalise == "component-group" and members[0].job.phase == "train":
            pairs = [*((outcome, False) for outcome in earlier), *((outcome, True) for outcome in outcomes)]
            rewards = [outcome for outcome, _ in pairs if isinstance(outcome, RolloutReward)]
            values = iter(normalise_group(rewards, section.components))
            made = [(replace(o, normalised=next(values)) if isinstance(o, RolloutReward) else o, n) for o, n in pairs]
            outcomes = [outcome for outcome, is_new in made if is_new]
        self._finish(members, outcomes)

    def _finish(self, members: Sequence[WaitingMember], outcomes: Sequence[Outcome]) -> None:
        """Answer members; those whose call is away get their reward when it is made again."""
        here: list[tuple[ScoringJob, Outcome]] = []
        for member, outcome in zip(members, outcomes, strict=True):
            if isinstance(outcome, RolloutReward):  # else it can still be compared with members that come later
                member.outcome = outcome
            self._leave(member)
            if member.is_away:
                self._owe(member.job.key, outcome)
            else:
                here.append((member.job, outcome))
        if here:
            self._answer([job for job, _ in here], [outcome for _, outcome in here])

    def _leave(self, member: WaitingMember) -> None:
        if member not in self._waiting:
            return
        del self._waiting[member]
        self.weight -= member.job.weight
        alike = self._by_key[member.job.key]
        alike.remove(member)
        if not alike:
            del self._by_key[member.job.key]

    def _answer(self, jobs: Sequence[ScoringJob], outcomes: Sequence[Outcome]) -> None:
        self._ledger.settle(jobs, outcomes, may_wait=False)
        self._dismiss_after_end()

    def _owe(self, key: bytes, outcome: Outcome) -> None:
        owed = self._owed.setdefault(key, [])
        owed.append(outcome)

        def drop() -> None:
            if outcome in owed:
                owed.remove(outcome)
            if not owed and self._owed.get(key) is owed:
                del self._owed[key]

        asyncio.get_running_loop().call_later(KEEP_S, drop)

    def _dismiss_after_end(self) -> None:
        """Answer all who wait once the run must end."""
        failure = self._ledger.policy.failure
        if failure is None or not self._waiting:
            return
        waiting = list(self._waiting)
        for member in waiting:
            self._leave(member)
        here = [m.job for m in waiting if not m.is_away]
        for group in list(self._groups.values()):
            self._forget(group)
        self._ledger.settle(here, [NoReward(str(failure)) for _ in here])
