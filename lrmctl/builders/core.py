"""The core that all builders and rejection sampling share: draw, judge or reward, keep with counted reasons.

Completions and opinions are stored as they arrive, so a killed call asks for nothing twice. The same seed gives the
same samples and hence the same rows. Texts are read from the store in parts; only opinions are kept in memory.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lrmctl.builders.opinions import Opinion, Opinions
from lrmctl.builders.tasks import Task
from lrmctl.engines.base import Engine, OnProgress, Sampling
from lrmctl.engines.store import Store, distinct_samples
from lrmctl.evaluation.generate import Generation, refuse_failures
from lrmctl.recipe.schema.build import KeptSamples
from lrmctl.rows.prompts import key_of
from lrmctl.types import Trace

FAILED = "no completion"
OVER = "more than max_per_prompt"


@dataclass(frozen=True)
class Sample:
    """One sample, what is said of it, and whether it becomes a row.

    Attributes:
        trace: with the row's prompt, which need not be the one it was sampled from.
        dropped: why it does not become a row; empty if it does.
    """

    task: Task
    trace: Trace
    opinion: Opinion
    dropped: str = ""

    @property
    def accepted(self) -> bool:
        """Whether it passes, even if the prompt has enough rows already."""
        return self.dropped in ("", OVER)

    @property
    def kept(self) -> bool:
        return not self.dropped

    def to_json(self) -> dict[str, Any]:
        """JSON form with the keys of `rollouts.jsonl`."""
        trace, opinion = self.trace, self.opinion
        return {
            "prompt_id": trace.prompt.id,
            "kind": trace.prompt.kind,
            "sample": trace.sample,
            "prompt": trace.prompt.text,
            "thinking": trace.thinking,
            "answer": trace.answer,
            "thinking_state": trace.thinking_state,
            "finish_reason": trace.finish_reason,
            "reward": opinion.reward,
            "error": opinion.error,
            "accepted": self.accepted,
            "kept": self.kept,
            "components": dict(opinion.components),
            **({"dropped": self.dropped} if self.dropped else {}),
            **({"verdicts": [v.to_json() if v else None for v in opinion.verdicts]} if opinion.verdicts else {}),
        }


Fault = Callable[[Task, Trace, Opinion], str]
"""Why a sample is dropped, besides what judges and reward say."""


@dataclass
class Draw:
    """The samples of some tasks, drawn and judged; call `fill`, then `judge`, then read `samples` any number of times.

    Attributes:
        samples_per_task: one if sampling is greedy.
        most: share of completions, and of verdicts of each judge, that may fail.
        notes: sentences about failures that are tolerated.
    """

    engine: Engine
    store: Store
    tasks: Sequence[Task]
    sampling: Sampling
    samples_per_task: int
    seed: int
    opinions: Opinions
    most: float = 0.05

    def __post_init__(self) -> None:
        self.samples_per_task = distinct_samples(self.sampling, self.samples_per_task)
        self._generation = Generation(self.engine, self.store, (self.sampling,), self.samples_per_task, self.seed)
        self._said: list[Opinion] = []
        self._dropped: list[str] = []
        self.notes: list[str] = []

    @property
    def completions(self) -> int:
        """Completions in all."""
        return len(self.tasks) * self.samples_per_task

    def fill(self, tell: OnProgress) -> None:
        """Draw what is not stored yet, then release the engine: its memory is for the judges now.

        Raises:
            LrmctlError: more completions failed than tolerated.
        """
        self._generation.fill([task.asked for task in self.tasks], tell)
        self.engine.release()
        failed = list(self._generation.failed.values())
        note = refuse_failures(len(failed), self.completions, failed[0].error if failed else "", self.most)
        self.notes += [note] if note else []

    def judge(self, keep: KeptSamples, fault: Fault, tell: Callable[[int], None] = lambda _done: None) -> None:
        """Ask judges and reward, and decide on every sample.

        Raises:
            RewardError, JudgeError, LrmctlError: they failed beyond what the recipe tolerates.
        """
        self._said, self._dropped = [], []
        keys, identity = list[int](), dict[str, int]()
        for some in self._drawn():
            judged = [task.judged(trace) for task, trace in some if trace.finish_reason != "error"]
            before = len(self._said)
            said = iter(self.opinions.of(judged, lambda done, before=before: tell(before + done)))  # type: ignore[misc]
            for task, trace in some:
                opinion = Opinion() if trace.finish_reason == "error" else next(said)
                self._said.append(opinion)
                self._dropped.append(self._why_not(task, trace, opinion, fault))
                keys.append(identity.setdefault(key_of(task.prompt), len(identity)))
        self.notes += self.opinions.check(self.most)
        within = chosen(keys, self._dropped, [one.reward for one in self._said], keep.max_per_prompt, keep.order)
        self._dropped = [why or ("" if take else OVER) for why, take in zip(self._dropped, within, strict=True)]

    def samples(self) -> Iterator[Sample]:
        """Every sample, by task, then sample index."""
        decided = zip(self._said, self._dropped, strict=True)
        for some in self._drawn():
            for task, trace in some:
                opinion, dropped = next(decided)
                yield Sample(task, replace(trace, prompt=task.prompt), opinion, dropped)

    def counts(self) -> dict[str, int]:
        """Samples by what became of them: `kept`, or why not."""
        return dict(Counter(why or "kept" for why in self._dropped).most_common())

    def _why_not(self, task: Task, trace: Trace, opinion: Opinion, fault: Fault) -> str:
        if trace.finish_reason == "error":
            return FAILED
        if task.subject is not None:  # the judge's verdict is on something else than the sample
            return fault(task, trace, opinion)
        return fault(task, trace, opinion) or self.opinions.why_not(opinion)

    def _drawn(self) -> Iterator[list[tuple[Task, Trace]]]:
        """Tasks and their traces, some at a time."""
        at = 0
        for traces in self._generation.traces([task.asked for task in self.tasks], self.sampling):
            yield [(self.tasks[(at + i) // self.samples_per_task], trace) for i, trace in enumerate(traces)]
            at += len(traces)


def chosen(
    prompts: Sequence[int], dropped: Sequence[str], rewards: Sequence[float | None], limit: int | None, order: str
) -> list[bool]:
    """Which of the samples that pass are within the limit of their prompt.

    Args:
        prompts: a number for the prompt of each sample.
        dropped: why a sample does not pass; empty if it does.
        limit: most samples of one prompt; None for no limit.
        order: `first`, or `best` for the highest rewards; of equal ones the first.
    """
    if limit is None:
        return [not why for why in dropped]
    places: dict[int, list[int]] = defaultdict(list)
    for i, (prompt, why) in enumerate(zip(prompts, dropped, strict=True)):
        if not why:
            places[prompt].append(i)
    if order == "best":
        for found in places.values():
            found.sort(key=lambda i: -(rewards[i] or 0.0))
    taken = {i for found in places.values() for i in found[:limit]}
    return [i in taken for i in range(len(dropped))]


def acceptance(samples: Iterable[Sample]) -> dict[str, dict[str, float]]:
    """By prompt kind: samples, accepted, kept, failed, and the acceptance rate of those that did not fail."""
    by_kind: dict[str, Counter[str]] = {}
    for s in samples:
        counts = by_kind.setdefault(s.trace.prompt.kind, Counter(samples=0, accepted=0, kept=0, failed=0))
        failed = s.opinion.failed or s.dropped == FAILED
        counts.update(samples=1, accepted=s.accepted, kept=s.kept, failed=failed)
    return {kind: {**counts, "acceptance": _rate(counts)} for kind, counts in by_kind.items()}


def _rate(counts: Mapping[str, int]) -> float:
    scored = counts["samples"] - counts["failed"]
    return counts["accepted"] / scored if scored else 0.0
