"""Pairs from scored completions: the best and the worst of each group of samples of one prompt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lrmctl.data.pairs.pair import PreferencePair, Response
from lrmctl.errors import RecipeError
from lrmctl.hooks.specs import Source
from lrmctl.rows.files import existing, file_sha256
from lrmctl.rows.located import LocatedRow
from lrmctl.rows.prompts import key_of
from lrmctl.rows.traces import in_data_order, read_traces
from lrmctl.rows.values import missing, number_of
from lrmctl.runs.folder import RunFolder
from lrmctl.runs.names import named_run, runs_folder
from lrmctl.types import Prompt, Trace

EVALUATED = "rollouts of evaluations during training"
UNSCORED = "completions without a reward"
UNCLOSED = "completions whose thinking never ends"
THOUGHTLESS = "completions without a thought or an answer"
FLAT = "groups whose rewards are all the same"
NARROW = "groups whose rewards differ too little"
SINGLE = "groups with fewer than two completions to choose from"


@dataclass(frozen=True)
class ScoredTrace:
    """A completion with its reward.

    Attributes:
        group: completions of one group are compared with each other.
        reward: None if it failed or was never given.
    """

    trace: Trace
    reward: float | None
    group: str


@dataclass(frozen=True)
class GroupedPairs:
    """The pairs of scored completions.

    Attributes:
        groups: number of groups, with a pair or without.
        left_out: completions and groups without a pair, by reason.
    """

    pairs: Sequence[PreferencePair]
    groups: int
    left_out: Mapping[str, int]

    def findings(self) -> list[str]:
        """What was left out and why, as sentences."""
        return [f"{reason} are left out: {n}" for reason, n in self.left_out.items()]


def best_and_worst(scored: Iterable[ScoredTrace], *, min_gap: float = 0.0) -> GroupedPairs:
    """The completions with the highest and the lowest reward of each group, the first of equal ones.

    Args:
        min_gap: least difference of the two rewards; groups without any difference never give a pair.
    """
    left_out: Counter[str] = Counter()
    groups: dict[str, list[ScoredTrace]] = {}
    for one in scored:
        members = groups.setdefault(one.group, [])
        if reason := _unusable(one):
            left_out[reason] += 1
        else:
            members.append(one)
    pairs = []
    for members in groups.values():
        if len(members) < 2:
            left_out[SINGLE] += 1
            continue
        best, worst = max(members, key=_reward), min(members, key=_reward)
        gap = _reward(best) - _reward(worst)
        if gap <= 0 or gap < min_gap:
            left_out[NARROW if gap > 0 else FLAT] += 1
            continue
        pairs.append(_pair(best, worst))
    return GroupedPairs(pairs, len(groups), dict(left_out))


def _reward(one: ScoredTrace) -> float:
    assert one.reward is not None
    return one.reward


def _unusable(one: ScoredTrace) -> str:
    trace = one.trace
    if one.reward is None:
        return UNSCORED
    if trace.thinking_state == "unclosed":
        return UNCLOSED
    off = trace.thinking_state == "off"
    return "" if trace.answer.strip() and (off or trace.thinking.strip()) else THOUGHTLESS


def _pair(best: ScoredTrace, worst: ScoredTrace) -> PreferencePair:
    rewards = {"chosen_reward": best.reward, "rejected_reward": worst.reward}
    prompt: Prompt = best.trace.prompt
    prompt = replace(prompt, meta={**prompt.meta, **rewards})
    chosen, rejected = (Response(one.trace.thinking, one.trace.answer) for one in (best, worst))
    return PreferencePair(prompt, chosen, rejected)


def group_of(row: Mapping[str, object], trace: Trace) -> str:
    """The group of a row: that of a rollout, else all samples of its prompt (at one temperature)."""
    if group := row.get("group"):
        return f"{row.get('attempt', 0)}/{group}"
    return f"{row.get('temperature', '')}/{key_of(trace.prompt)}"


def read_scored(path: Path, left_out: Counter[str] | None = None) -> list[ScoredTrace]:
    """Completions of a file with the rewards that it states, before normalisation where it states those.

    In the order of the data (`in_data_order`), so that the same rollouts give the same pairs.

    Args:
        left_out: counts the rollouts of evaluations during training, which are left out.

    Raises:
        NotFoundError, RecipeError: as `lrmctl.rows.traces.read_traces`.
    """
    found = []
    for one in in_data_order(read_traces(path, kind=None)):
        if one.row.get("phase") == "eval":
            if left_out is not None:
                left_out[EVALUATED] += 1
            continue
        found.append(ScoredTrace(one.trace, _stated(one.row), group_of(one.row, one.trace)))
    return found


def _stated(row: LocatedRow) -> float | None:
    if row.get("error"):
        return None
    return number_of(row, "reward" if missing(row.get("total")) else "total", row)


def rollout_file(run: str) -> Path:
    """The rollouts of `run:NAME`, or the file that is named.

    Raises:
        NotFoundError: there is no such file.
    """
    return existing(RunFolder(runs_folder() / named_run(run)).rollouts if run.startswith("run:") else Path(run))


class RolloutPairs(Source):
    """Pairs of a run's rollouts: the best and the worst of each group by their reward.

    Args:
        run: `run:NAME`, or a file of rollouts.
        min_gap: least difference of the two rewards.
    """

    def __init__(self, run: str, min_gap: float = 0.0) -> None:
        if isinstance(min_gap, bool) or not isinstance(min_gap, (int, float)) or min_gap < 0:
            raise RecipeError(f"min_gap is {min_gap!r}", "options: min_gap", "give a number of at least 0")
        self._run, self._min_gap = run, float(min_gap)
        self._findings: list[str] = []

    def pairs(self) -> Sequence[PreferencePair]:
        """Raises RecipeError: no group gives a pair."""
        path, evaluated = rollout_file(self._run), Counter[str]()
        found = best_and_worst(read_scored(path, evaluated), min_gap=self._min_gap)
        found = replace(found, left_out={**evaluated, **found.left_out})
        self._findings = found.findings()
        if not found.pairs:
            why = "; ".join(self._findings)
            raise RecipeError(f"none of {found.groups} groups gives a pair: {why}", str(path), "lower min_gap")
        return found.pairs

    def findings(self) -> Sequence[str]:
        return self._findings

    def provenance(self) -> Mapping[str, object]:
        path = rollout_file(self._run)
        return {"file": str(path), "sha256": file_sha256(path), "sha256_of": "file"}
