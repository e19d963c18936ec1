"""Where the numbers come from: sets, judges, lexicons, versions, seeds, hashes. Repeats what the stages wrote down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from lrmctl.metrics.remarks import agreement_sentences, remarks
from lrmctl.reporting.load import ArmData
from lrmctl.runs.same_judge import same_judge


class ArmFacts(NamedTuple):
    """One arm's line in the provenance table; an empty string is something nobody wrote down."""

    label: str
    state: str
    recipe: str
    recipe_hash: str
    seed: str
    model: str
    times: str
    missing: Sequence[str]
    error: str
    start: str = ""


class ReportedSet(NamedTuple):
    """One evaluated set."""

    set: str
    kind: str
    temperatures: str
    prompts: str
    samples: str
    judge: str
    license: str
    url: str


class OverlapFacts(NamedTuple):
    """What an arm was trained on among the prompts of one set."""

    arm: str
    set: str
    n: int
    exact: int
    near: int
    training: str


def overlaps(arms: Sequence[ArmData]) -> list[OverlapFacts]:
    """Sets that share prompts with what an arm was trained on; none for arms of which nobody looked."""
    return [
        OverlapFacts(arm.arm.label, found["set"], found["n"], found["exact"], found["near"], found["training"])
        for arm in arms
        for found in arm.summary.get("overlap") or ()
        if found["exact"] + found["near"]
    ]


def warnings(arms: Sequence[ArmData]) -> list[str]:
    """What evaluations warned of, and what has to be said of their figures, with the arm's label."""
    found = [f"{arm.arm.label}: {said}" for arm in arms for said in arm.summary.get("warnings") or ()]
    for arm in arms:
        for entry in arm.summary.get("sets", ()):
            found += [f"{arm.arm.label}, {entry['set']} ({entry['kind']}): {said}" for said in remarks(entry)]
    return list(dict.fromkeys(found))


def agreements(arms: Sequence[ArmData]) -> list[str]:
    """How far the judges of each set agree, with the arm's label."""
    return [
        f"{arm.arm.label}, {entry['set']} ({entry['kind']}, T = {entry['temperature']:g}): {said}"
        for arm in arms
        for entry in arm.summary.get("sets", ())
        for said in agreement_sentences(entry)
    ]


def cautions(arms: Sequence[ArmData]) -> list[str]:
    """What this page leaves out, and arms that were rewarded by the judge that evaluates them."""
    left_out = [f"{arm.arm.label}: {said}" for arm in arms for said in arm.left_out]
    return [*left_out, *filter(None, (same_judge(arm.arm.path, arm.summary, arm.arm.label) for arm in arms))]


def of_the_lab(arms: Sequence[ArmData]) -> bool:
    """Whether every set is the lab's: a tiny model in a synthetic world."""
    sets = [entry["set"] for arm in arms for entry in arm.summary.get("sets", ())]
    return bool(sets) and all(name.startswith(("lab-", "lab_")) for name in sets)


def arm_facts(arm: ArmData, base: str) -> ArmFacts:
    """Facts of one arm.

    Args:
        base: label of the report's first arm.
    """
    recipe = arm.lock.get("recipe", {})
    seed = recipe.get("seed", arm.summary.get("seed"))
    return ArmFacts(
        label=arm.arm.label,
        state=str(arm.status.get("state", "")),
        recipe=" ".join(str(recipe[k]) for k in ("kind", "name") if k in recipe),
        recipe_hash=str(arm.lock.get("recipe_sha256", ""))[:12],
        seed="" if seed is None else str(seed),
        model=str(arm.summary.get("fingerprint", "")),
        times=", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in _in_order(arm)),
        missing=arm.missing,
        error=str(arm.status.get("error") or ""),
        start=_start(arm, base),
    )


def _start(arm: ArmData, base: str) -> str:
    """What its training started from: every earlier training if the lock lists them, or the base."""
    if not arm.lock:
        return ""
    stages = arm.lock.get("lineage", {}).get("stages", ())
    return ", then ".join([base, *(str(stage["run"]) for stage in stages)]) if stages else arm.arm.start or base


def _in_order(arm: ArmData) -> list[tuple[str, float]]:
    order = ("train", "eval", "analyze")
    return sorted(arm.seconds.items(), key=lambda pair: order.index(pair[0]) if pair[0] in order else len(order))


def set_facts(arms: Sequence[ArmData]) -> list[ReportedSet]:
    """Every set of every arm; values that differ between arms stand side by side."""
    names = dict.fromkeys((e["set"], e["kind"]) for a in arms for e in a.summary.get("sets", ()))
    return [_set(arms, name, kind) for name, kind in names]


def _set(arms: Sequence[ArmData], name: str, kind: str) -> ReportedSet:
    entries = [e for a in arms for e in a.summary.get("sets", ()) if (e["set"], e["kind"]) == (name, kind)]
    sources = [e.get("source") or {} for e in entries]

    def seen(values: Sequence[Any]) -> str:
        return ", ".join(dict.fromkeys(str(v) for v in values if v not in (None, "")))

    return ReportedSet(
        name,
        kind,
        seen([f"{e['temperature']:g}" for e in entries]),
        seen([e["prompts"] for e in entries]),
        seen([e["samples"] for e in entries]),
        seen([f"{e['judge']} {e.get('judge_version') or ''}".strip() for e in entries if e.get("judge")]),
        seen([s.get("license") for s in sources]),
        seen([s.get("url") for s in sources]),
    )


def versions(arms: Sequence[ArmData]) -> list[tuple[str, str]]:
    """Package -> installed version; several where arms ran with different ones."""
    found: dict[str, dict[str, None]] = {}
    for arm in arms:
        for package, version in {**arm.lock.get("versions", {}), **arm.lock.get("plugins", {})}.items():
            if version:
                found.setdefault(package, {})[version] = None
    return [(package, ", ".join(seen)) for package, seen in found.items()]


def sampling(arms: Sequence[ArmData]) -> str:
    """Sampling settings and engine of the evaluations, in words."""
    said: dict[str, None] = {}
    for arm in arms:
        facts = {**(arm.summary.get("engine") or {}), **(arm.summary.get("sampling") or {})}
        if facts:
            said[", ".join(f"{k} {v}" for k, v in facts.items() if isinstance(v, (str, int, float)))] = None
    return "; ".join(said)


def lexicons(arms: Sequence[ArmData]) -> list[tuple[str, dict[str, Any]]]:
    found: dict[str, dict[str, Any]] = {}
    for arm in arms:
        found |= arm.reflection.get("lexicons", {})
    return sorted(found.items())


def entropy_facts(arms: Sequence[ArmData]) -> list[tuple[str, dict[str, Any]]]:
    """How each arm's entropies were computed."""
    keys = ("method", "dtype", "traces", "without_thinking", "reencoded_differently", "threshold_from")
    return [(a.arm.label, {k: a.entropy[k] for k in keys if k in a.entropy}) for a in arms if a.entropy]
