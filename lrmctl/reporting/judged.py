"""What the verdict is made of: each arm's paired differences to the base, and those of safer arms to the controls.

Controls are there for RL: where a safer arm is of RL, only such arms are held against them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lrmctl.comparison import Delta, main_deltas, pair
from lrmctl.errors import LrmctlError
from lrmctl.reporting.load import ArmData
from lrmctl.reporting.table import PairedArm
from lrmctl.reporting.verdict import JudgedArm, Verdict, decide, verdict


def verdict_of(base: ArmData, paired: Sequence[PairedArm], sets: Mapping[str, str], temperature: float) -> Verdict:
    """The verdict on the sets that stand for their kinds, at one temperature."""

    def by_kind(deltas: Sequence[Delta]) -> dict[str, Delta]:
        shown = [d for d in main_deltas(deltas) if d.temperature == temperature and sets.get(d.kind) == d.set]
        return {d.kind: d for d in shown}

    deltas = [by_kind(one.deltas) for one in paired]
    safer = [
        one
        for one, found in zip(paired, deltas, strict=True)
        if not one.arm.arm.control and "harmful" in found and decide(found["harmful"]) == "better"
    ]
    by_rl = [one for one in safer if one.arm.lock.get("recipe", {}).get("kind") == "rl"]
    judged = [
        JudgedArm(
            one.arm.arm.label,
            one.arm.arm.control,
            found,
            one.reason,
            {arm.arm.arm.label: by_kind(_over(one.arm, arm.arm)) for arm in by_rl or safer}
            if one.arm.arm.control
            else {},
        )
        for one, found in zip(paired, deltas, strict=True)
    ]
    return verdict(base.arm.label, judged)


def _over(control: ArmData, arm: ArmData) -> Sequence[Delta]:
    """Differences from the control to the arm; none where they cannot be paired, which the tables say."""
    try:
        return pair(control.evaluated, arm.evaluated) if control.evaluated and arm.evaluated else ()
    except LrmctlError:
        return ()
