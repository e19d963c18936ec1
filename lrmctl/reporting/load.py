"""What the report reads of an arm's run folder. A part that is not there is None or empty, and named in `missing`."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from lrmctl.analysis.cells import ALL
from lrmctl.comparison import Evaluated, is_held_out, tally
from lrmctl.recipe.schema.analysis import PARTS
from lrmctl.runs.checkpoint_models import step_summaries
from lrmctl.runs.damage import read_object
from lrmctl.runs.eval_rows import EvalRow, eval_rows, rows_digest
from lrmctl.runs.jsonl import read_jsonl

KINDS = ("harmful", "benign", "reasoning")


class ArmFolder(NamedTuple):
    """One arm of a report.

    Attributes:
        name: identifier, used in links.
        label: what the reader sees.
        control: set apart in the tables.
        path: its run folder.
        start: name of the arm that its training started from; empty if that is the base.
    """

    name: str
    label: str
    control: bool
    path: Path
    start: str = ""


class SampleKey(NamedTuple):
    """One sample of one prompt that is shown for every arm."""

    kind: str
    set: str
    temperature: float
    prompt: str


@dataclass
class ArmData:
    """An arm as read from disk; rows are reduced to per-prompt outcomes and the few samples that are shown."""

    arm: ArmFolder
    summary: Mapping[str, Any]
    reflection: Mapping[str, Any]
    entropy: Mapping[str, Any]
    metrics: Sequence[Mapping[str, Any]]
    status: Mapping[str, Any]
    lock: Mapping[str, Any]
    seconds: Mapping[str, float]
    transitions: Mapping[str, Any] = field(default_factory=dict)
    early: Mapping[str, Any] = field(default_factory=dict)
    recovery: Mapping[str, Any] = field(default_factory=dict)
    further: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Analyses of `analysis.also`, by the name of their file."""
    stale: Sequence[str] = ()
    evaluated: Evaluated = field(default_factory=dict)
    samples: dict[SampleKey, EvalRow] = field(default_factory=dict)
    steps: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    """Summaries of the models of training steps (`lrmctl eval --checkpoints`), by step."""

    @property
    def left_out(self) -> list[str]:
        """Sentences about analyses that are there and are not of the rows that are there."""
        again = "`lrmctl analyze` makes it again"
        return [
            f"the {name} analysis is of another evaluation than the rows, and is left out; {again}"
            for name in self.stale
        ]

    @property
    def missing(self) -> list[str]:
        """What a reader would look for and not find here."""
        absent = [] if self.summary else ["evaluation"]
        absent += [] if self.reflection else ["reflection analysis"]
        absent += [] if self.entropy else ["entropy analysis"]
        return absent

    def set_entry(self, kind: str, name: str, temperature: float) -> Mapping[str, Any] | None:
        """The summary's entry of one kind of prompt of a set at one temperature."""
        for entry in self.summary.get("sets", ()):
            if (entry["kind"], entry["set"], entry["temperature"]) == (kind, name, temperature):
                return entry  # type: ignore[no-any-return]  # JSON
        return None

    def cell(self, analysis: str, kind: str, name: str, temperature: float, outcome: str = ALL, **also: str) -> Any:
        """The cell of an analysis, or None."""
        wanted = {"kind": kind, "set": name, "temperature": temperature, "outcome": outcome, **also}
        for cell in getattr(self, analysis).get("cells", ()):
            if all(cell.get(key, ALL if key == "outcome" else None) == value for key, value in wanted.items()):
                return cell
        return None


def load_arms(arms: Sequence[ArmFolder], per_kind: Mapping[str, int]) -> list[ArmData]:
    """Read all arms; each arm's rows are read once, the first arm's twice to choose the samples.

    Args:
        per_kind: how many prompts of each kind are shown as samples.
    """
    found = [_files(arm) for arm in arms]
    wanted = _choose_samples(found, per_kind)
    for data in found:
        data.evaluated = tally(_keep(_rows(data.arm), wanted, data.samples))
    return found


def primary_sets(arms: Sequence[ArmData]) -> dict[str, str]:
    """The set that stands for each prompt kind: the held-out one, else the first that was evaluated."""
    chosen: dict[str, str] = {}
    for kind in KINDS:
        names = [e["set"] for a in arms for e in a.summary.get("sets", ()) if e["kind"] == kind]
        held = [n for n in names if is_held_out(n)]
        if names:
            chosen[kind] = (held or names)[0]
    return chosen


def temperatures(arms: Sequence[ArmData]) -> list[float]:
    return sorted({e["temperature"] for a in arms for e in a.summary.get("sets", ())})


def _files(arm: ArmFolder) -> ArmData:
    path = arm.path
    stamps = {f.stem: _json(f).get("seconds") for f in sorted((path / "stages").glob("*.json"))}
    analyses = {name: _json(path / "analysis" / f"{name}.json") for name in PARTS}
    also = {file.stem: _json(file) for file in sorted((path / "analysis").glob("*.json")) if file.stem not in PARTS}
    analyses |= {name: found for name, found in also.items() if "analysis" in found}
    rows = path / "eval" / "rows.jsonl"
    made_of = rows_digest(rows) if rows.exists() else None
    stale = [name for name, found in analyses.items() if found and found.get("rows_sha256") != made_of]
    fresh = {name: {} if name in stale else found for name, found in analyses.items()}
    return ArmData(
        arm=arm,
        summary=_json(path / "eval" / "summary.json"),
        reflection=fresh["reflection"],
        entropy=fresh["entropy"],
        transitions=fresh["transitions"],
        early=fresh["early"],
        recovery=fresh["recovery"],
        further={name: found for name, found in fresh.items() if name not in PARTS and found},
        stale=stale,
        metrics=list(read_jsonl(path / "metrics.jsonl")),
        status=_json(path / "status.json"),
        lock=_json(path / "lock.json"),
        seconds={stage: s for stage, s in stamps.items() if s is not None},
        steps={step: _json(file) for step, file in step_summaries(path).items()},
    )


def _json(path: Path) -> dict[str, Any]:
    return read_object(path)


def _rows(arm: ArmFolder) -> Iterator[EvalRow]:
    path = arm.path / "eval" / "rows.jsonl"
    return eval_rows(path) if path.exists() else iter(())


def _choose_samples(arms: Sequence[ArmData], per_kind: Mapping[str, int]) -> set[SampleKey]:
    """Prompts by the hash of their id: a rule that nobody can steer, the same for every arm."""
    source = next((a for a in arms if (a.arm.path / "eval" / "rows.jsonl").exists()), None)
    if source is None or not (sets := primary_sets(arms)):
        return set()
    lowest = min(temperatures(arms))
    ids: dict[str, set[str]] = {kind: set() for kind in sets}
    for row in _rows(source.arm):
        kind = row.trace.prompt.kind
        if row.set == sets.get(kind) and row.temperature == lowest:
            ids[kind].add(row.trace.prompt.id)
    return {
        SampleKey(kind, sets[kind], lowest, prompt)
        for kind, found in ids.items()
        for prompt in heapq.nsmallest(per_kind.get(kind, 0), found, key=_rank)
    }


def _rank(prompt_id: str) -> str:
    return hashlib.sha256(prompt_id.encode()).hexdigest()


def _keep(rows: Iterable[EvalRow], wanted: set[SampleKey], into: dict[SampleKey, EvalRow]) -> Iterator[EvalRow]:
    """Pass rows through; lay aside the first sample of each wanted prompt."""
    for row in rows:
        key = SampleKey(row.trace.prompt.kind, row.set, row.temperature, row.trace.prompt.id)
        if row.trace.sample == 0 and key in wanted:
            into[key] = row
        yield row


def sample_order(key: SampleKey) -> tuple[int, str]:
    """Harmful first, then benign, then reasoning; within a kind the order of choice."""
    return KINDS.index(key.kind), _rank(key.prompt)
