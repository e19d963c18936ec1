"""All alarms by name, and making the requested ones with their thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lrmctl._util.suggest import did_you_mean
from lrmctl.errors import LrmctlError
from lrmctl.monitors.alarms.disagreement import JudgeDisagreement
from lrmctl.monitors.alarms.refusals import HELPED, RefusalCollapse
from lrmctl.monitors.alarms.rewards import FailureRate, GroupVariance
from lrmctl.monitors.alarms.steps import EngineMismatch, Entropy, KlDrift
from lrmctl.monitors.alarms.text import FormatGaming, LengthDrift, RepetitionDrift
from lrmctl.monitors.base import Alarm

if TYPE_CHECKING:
    from lrmctl.hooks.specs import Judge
    from lrmctl.types import Prompt

ALARMS: Mapping[str, type[Alarm]] = {
    alarm.name: alarm
    for alarm in (
        RefusalCollapse,
        LengthDrift,
        RepetitionDrift,
        FormatGaming,
        JudgeDisagreement,
        GroupVariance,
        KlDrift,
        EngineMismatch,
        Entropy,
        FailureRate,
    )
}


def make_alarms(
    only: Sequence[str] = (),
    thresholds: Mapping[str, float] | None = None,
    *,
    judge: Judge | None = None,
    prompts: Mapping[str, Prompt] | None = None,
    sample: int = 400,
    helped: Mapping[str, float] | None = None,
    clip: float | None = None,
) -> list[Alarm]:
    """New instances of the alarms.

    Args:
        only: names; all by default.
        thresholds: by name, overriding the alarms' own.
        judge, prompts, sample: for `judge-disagreement`.
        helped: additional components that say whether a benign request was helped with: see `RefusalCollapse`.
        clip: for `engine-mismatch`: the bound of an importance ratio relative to the engine's probabilities.

    Raises:
        LrmctlError: there is no alarm of that name.
    """
    said = thresholds or {}
    for name in (*only, *said):
        check_name(name)
    made: list[Alarm] = []
    for name in only or ALARMS:
        if name == JudgeDisagreement.name:
            made.append(JudgeDisagreement(said.get(name), judge, prompts, sample))
        elif name == EngineMismatch.name:
            made.append(EngineMismatch(said.get(name), clip))
        elif name == RefusalCollapse.name:
            made.append(RefusalCollapse(said.get(name), {**HELPED, **(helped or {})}))
        else:
            made.append(ALARMS[name](said.get(name)))
    return made


def check_name(name: str) -> None:
    """Raise LrmctlError if there is no alarm of that name."""
    if name not in ALARMS:
        raise LrmctlError(
            f"there is no alarm {name!r}", fix=did_you_mean(name, ALARMS) or f"one of {', '.join(ALARMS)}"
        )
