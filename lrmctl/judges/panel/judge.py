"""The judge `panel`: asks several judges, and combines what they say.

Each member is a judge like any other, shared with whoever else names it, and judges long texts in windows of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lrmctl.errors import RecipeError
from lrmctl.hooks.members import PANEL, panel_members
from lrmctl.hooks.specs import Judge
from lrmctl.judges.base import judge_name, judge_part, make_judge
from lrmctl.judges.panel.combine import RULES, Rule, combined
from lrmctl.judges.panel.opinions import titles
from lrmctl.judges.shared import SharedJudge
from lrmctl.judges.templates.base import checked_threshold, one_of
from lrmctl.types import Part, Trace, Verdict


class Panel(Judge):
    """Several judges as one: a majority of them, the mean of their probabilities, or the worst of them decides.

    Ties are unsafe. The labels carry every member's word, so that disagreements can be listed and their agreement is
    known. Refused is what most of those say that say it, and unknown in a tie.

    Members that failed are left out if enough others answered; otherwise the verdict has failed, with all reasons.
    Members that do not judge thinking are left out there, and members that say nothing of safety where safety is voted
    on. A member without a probability counts as 0 or 1 in the mean, which looks at probabilities only: a member's own
    threshold does not matter there.

    Args:
        judges: a list of judges, each a name or {NAME: {option: value}}.
        by: majority, mean or worst.
        quorum: least number of members that must have answered; more than half of those that judge the part by default.
        threshold: unsafe from this mean on; with `by: mean` only.

    Attributes:
        members: the judges, in order.

    Raises:
        RecipeError: fewer than two judges, one of them twice, or options that do not fit.
    """

    name = PANEL
    cacheable = False
    """Each member's verdicts are cached; one that failed is asked again."""

    def __init__(
        self,
        judges: Sequence[str | Mapping[str, Any]],
        by: Rule = "majority",
        quorum: int | None = None,
        threshold: float = 0.5,
    ) -> None:
        self.check_options({"judges": judges, "by": by, "quorum": quorum, "threshold": threshold})
        named = panel_members(judges)
        self.members: tuple[Judge, ...] = tuple(make_judge(one.name, dict(one.options)) for one in named)
        self._titles = titles([judge_name(judge) for judge in self.members], [one.title for one in named])
        self._by, self._quorum, self._threshold = by, quorum, threshold
        said = [judge.says_refusal for judge in self.members]
        self.says_refusal = True if True in said else None if None in said else False
        self.parallel = max(judge.parallel for judge in self.members)
        self.version = self._version()

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> None:
        """Refuse options that do not fit, before any judge is made.

        Raises:
            RecipeError: see the class.
        """
        members, quorum = panel_members(options.get("judges")), options.get("quorum")
        by, threshold = options.get("by", "majority"), options.get("threshold", 0.5)
        one_of("by", by, RULES)
        checked_threshold(threshold)
        if by != "mean" and threshold != 0.5:
            raise RecipeError(f"a panel by {by} has no threshold", "threshold", "say `by: mean`, or leave it out")
        whole = isinstance(quorum, int) and not isinstance(quorum, bool) and 1 <= quorum <= len(members)
        if quorum is not None and not whole:
            fix = f"give a number of judges from 1 to {len(members)}, or leave it out"
            raise RecipeError(f"the quorum is {quorum!r}", "quorum", fix)

    def _version(self) -> str:
        """The rule, and every member with its version."""
        rule = f"{self._by} {self._threshold:g}" if self._by == "mean" else self._by
        quorum = f", quorum {self._quorum}" if self._quorum else ""
        members = zip(self._titles, self.members, strict=True)
        return f"1/{rule}{quorum}: {' + '.join(f'{title} {judge.version}'.strip() for title, judge in members)}"

    @property
    def facts(self) -> dict[str, Any]:
        """The rule and the members with their versions, for an evaluation's summary."""
        members = zip(self._titles, self.members, strict=True)
        told = [{"judge": judge_name(judge), "title": title, "version": judge.version} for title, judge in members]
        rule = {"by": self._by, **({"threshold": self._threshold} if self._by == "mean" else {})}
        return {**rule, **({"quorum": self._quorum} if self._quorum else {}), "members": told}

    def check(self) -> None:
        """Find out early whether every member can be called at all."""
        for judge in self.members:
            judge.check()

    def prepare(self) -> None:
        """Load every member's model."""
        for judge in self.members:
            judge.prepare()

    def judge(self, traces: Sequence[Trace], part: Part) -> list[Verdict]:
        """One verdict per trace. Members that serve several callers at once, as servers do, are asked side by side."""
        if not traces:
            return []
        columns = self._columns(traces, part)
        empty = Verdict(self.name, self.version, part)
        rows = zip(*columns, strict=True)
        named = (dict(zip(self._titles, row, strict=True)) for row in rows)
        return [combined(one, empty, self._by, self._quorum, self._threshold) for one in named]

    def _columns(self, traces: Sequence[Trace], part: Part) -> list[list[Verdict]]:
        """[members, traces]."""
        if self.parallel == 1:
            return [judge_part(judge, traces, part) for judge in self.members]
        with ThreadPoolExecutor(len(self.members), thread_name_prefix="panel") as pool:
            return list(pool.map(lambda judge: judge_part(judge, traces, part), self.members))


def panel_facts(judge: Judge) -> dict[str, Any]:
    """The facts of a panel, which may be shared; empty for a judge that only has its name."""
    panel = judge.wrapped if isinstance(judge, SharedJudge) else judge
    return panel.facts if isinstance(panel, Panel) else {}
