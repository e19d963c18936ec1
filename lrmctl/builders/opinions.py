"""What the judges and the reward of a recipe say of samples, kept on disk so that a killed build asks nothing twice.

A judge or reward that failed on a sample never lets it pass; the sample is dropped, counted, and asked about again by
the next call.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lrmctl.errors import JudgeError, LrmctlError
from lrmctl.judges.base import make_judge
from lrmctl.judges.naming import judge_name
from lrmctl.judges.scopes import judge_on
from lrmctl.recipe.schema.build import JudgeFilter
from lrmctl.recipe.schema.recipes import Keep
from lrmctl.rewards.compose import ComposedReward
from lrmctl.rewards.grouping import batches_of_groups, members_by_group
from lrmctl.rewards.service.failure_policy import FailurePolicy
from lrmctl.rows.prompts import key_of
from lrmctl.runs.jsonl import read_jsonl
from lrmctl.types import Kind, Trace, Verdict

AT_ONCE = 256
"""Samples that are judged in one call; the most that a killed process judges again."""


@dataclass(frozen=True)
class Opinion:
    """What is said of one sample.

    Attributes:
        verdicts: of each judge of the recipe, in order; None where it does not apply to the prompt's kind.
        reward: the composed reward; None without one, or if it failed.
        error: why the reward failed.
        components: of the reward, in the format of `rollouts.jsonl`.
    """

    verdicts: tuple[Verdict | None, ...] = ()
    reward: float | None = None
    error: str = ""
    components: Mapping[str, Any] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether a judge or the reward failed."""
        return bool(self.error) or any(v is not None and v.failed for v in self.verdicts)

    def to_json(self) -> dict[str, Any]:
        verdicts = [v.to_json() if v else None for v in self.verdicts]
        return {"verdicts": verdicts, "reward": self.reward, "error": self.error, "components": dict(self.components)}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Opinion:
        verdicts = tuple(Verdict.from_json(v) if v else None for v in row["verdicts"])
        return cls(verdicts, row["reward"], row["error"], row["components"])


class Opinions:
    """Judges and reward of a `keep:` section.

    Args:
        store: a JSONL file in which opinions are kept; none are kept by default.

    Raises:
        LrmctlError: a judge or reward cannot be made.
    """

    def __init__(self, keep: Keep, store: Path | None = None) -> None:
        self._keep, self._store = keep, store
        self._judges = [make_judge(one.judge, dict(one.judge_options)) for one in keep.judges]
        self._reward = ComposedReward(keep.reward) if keep.reward else None
        self._compares = bool(self.compared_kinds)
        self._policy = FailurePolicy(keep.reward) if keep.reward else None
        self._failures = [_Failures(one.judge) for one in keep.judges]
        self._known: dict[str, Opinion] = {}
        if store is not None:
            self._known = {row["key"]: Opinion.from_json(row) for row in read_jsonl(store)}

    @property
    def compared_kinds(self) -> frozenset[Kind]:
        """Prompt kinds of which the reward compares a prompt's samples."""
        return self._reward.compared_kinds if self._reward is not None else frozenset()

    @property
    def versions(self) -> list[dict[str, Any]]:
        """Name, version, options and question of each judge, for the lock file."""
        return [
            {
                "name": judge_name(judge),
                "version": judge.version,
                "options": dict(one.judge_options),
                "part": one.part,
                "says": one.says,
                "kinds": list(one.kinds),
            }
            for judge, one in zip(self._judges, self._keep.judges, strict=True)
        ]

    def of(self, traces: Sequence[Trace], tell: Callable[[int], None] = lambda _done: None) -> list[Opinion]:
        """One opinion per trace, in order.

        Args:
            tell: called with the number of traces done.

        Raises:
            RewardError: rewards failed beyond what the recipe's `on_failure` tolerates.
        """
        told: dict[int, Opinion] = {}
        for batch in batches_of_groups([key_of(trace.prompt) for trace in traces], AT_ONCE):
            told |= zip(batch, self._of_some([traces[i] for i in batch]), strict=True)
            tell(len(told))
        return [told[i] for i in range(len(traces))]

    def _of_some(self, traces: Sequence[Trace]) -> list[Opinion]:
        """Opinions on whole groups, the samples of some prompts."""
        keys = [self._key(trace) for trace in traces]
        unknown = [key not in self._known for key in keys]
        if self._compares:  # samples are compared with others of their prompt, so those are asked about together
            for members in members_by_group([key_of(trace.prompt) for trace in traces]):
                for i in members:
                    unknown[i] = any(keys[j] not in self._known for j in members)
        fresh = {key: trace for key, trace, new in zip(keys, traces, unknown, strict=True) if new}
        found = dict(zip(fresh, self._ask(list(fresh.values())), strict=True))
        lasting = {key: one for key, one in found.items() if not one.failed}
        if self._store is not None and lasting:
            self._store.parent.mkdir(parents=True, exist_ok=True)
            with self._store.open("a", encoding="utf-8", errors="backslashreplace") as out:
                for key, one in lasting.items():
                    out.write(json.dumps({"key": key, **one.to_json()}, ensure_ascii=False) + "\n")
            self._known |= lasting
        if self._policy is not None and self._policy.failure:
            raise self._policy.failure
        return [found[key] if key in found else self._known[key] for key in keys]

    def _ask(self, traces: Sequence[Trace]) -> list[Opinion]:
        verdicts: list[list[Verdict | None]] = [[None] * len(self._judges) for _ in traces]
        for j, (judge, how) in enumerate(zip(self._judges, self._keep.judges, strict=True)):
            chosen = [i for i, trace in enumerate(traces) if trace.prompt.kind in how.kinds]
            for i, verdict in zip(chosen, judge_on(judge, [traces[i] for i in chosen], how.part), strict=True):
                verdicts[i][j] = verdict
                self._failures[j].count(verdict)
        if self._reward is None or self._policy is None:
            return [Opinion(tuple(said)) for said in verdicts]
        told = []
        for trace, said, reward in zip(traces, verdicts, self._reward.score(traces), strict=True):
            self._policy.seen(reward.blame(trace))
            told.append(Opinion(tuple(said), reward.total, reward.error, reward.to_json()))
        return told

    def why_not(self, opinion: Opinion) -> str:
        """Why a sample is dropped; empty if judges and reward let it pass."""
        for how, verdict in zip(self._keep.judges, opinion.verdicts, strict=True):
            if verdict is not None and (why := _why_not(how, verdict)):
                return why
        if self._keep.reward is None:
            return ""
        if opinion.reward is None:
            return "the reward failed"
        return "" if opinion.reward >= self._keep.at_least else f"reward below {self._keep.at_least:g}"

    def check(self, most: float) -> list[str]:
        """A sentence for each judge that failed on some samples.

        Args:
            most: share of verdicts of one judge that may fail.

        Raises:
            JudgeError: a judge failed on all samples.
            LrmctlError: one failed on more than tolerated.
        """
        return [one.told(most) for one in self._failures if one.failed]

    def _key(self, trace: Trace) -> str:
        heads = [f"{judge.version}" for judge in self._judges]
        parts = (*heads, trace.prompt.kind, trace.prompt.id, key_of(trace.prompt), trace.thinking, trace.answer)
        texts = (*parts, trace.thinking_state, trace.finish_reason, str(trace.sample) if self._compares else "")
        return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _why_not(how: JudgeFilter, verdict: Verdict) -> str:
    if verdict.failed:
        return f"judge {how.judge} failed"
    if how.says == "safe":
        return "" if verdict.outcome in ("safe", "nothing") else f"judge {how.judge}: {verdict.outcome}"
    if verdict.refused is None:
        return f"judge {how.judge} does not say whether it refuses"
    refuses = how.says == "refused"
    return "" if verdict.refused is refuses else f"judge {how.judge}: {'complied' if refuses else 'refused'}"


@dataclass
class _Failures:
    """Counts the failed verdicts of one judge."""

    judge: str
    asked: int = 0
    failed: int = 0
    first: str = ""

    def count(self, verdict: Verdict) -> None:
        self.asked += 1
        if verdict.failed:
            self.failed += 1
            self.first = self.first or verdict.error

    def told(self, most: float) -> str:
        what = f"judge {self.judge!r} failed on {self.failed} of {self.asked} samples; the first: {self.first}"
        fix = "mend the judge and run the same command again: completions and verdicts are stored"
        if self.failed == self.asked:
            raise JudgeError(what, fix=fix)
        if self.failed > most * self.asked:
            raise LrmctlError(what, fix=f"{fix}; or raise `max_failed`")
        return f"{what}; they are dropped"
