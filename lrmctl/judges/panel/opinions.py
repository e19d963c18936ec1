"""What each member of a panel said, written into the panel's verdict and read back from it.

A verdict has a label `TITLE=word` for each member, or `TITLE=word,refused` (`,complied`) where the member says whether
the answer refuses. Rows on disk thus carry every member's word, and agreement needs no judge.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from lrmctl.hooks.members import PANEL
from lrmctl.types import Verdict

Word = Literal["safe", "unsafe", "malformed", "unsaid", "failed", "not-judged"]
"""`unsaid`: it did not fail but says nothing of safety."""
About = Literal["unsafe", "refused"]
_REFUSED = {True: ",refused", False: ",complied", None: ""}
_LABEL = re.compile(rf"(?P<title>.+)=(?P<word>{'|'.join(get_args(Word))})(?P<refused>,refused|,complied)?", re.DOTALL)


@dataclass(frozen=True)
class Opinion:
    """One judge's word on one part of a trace."""

    word: Word
    refused: bool | None = None

    def on(self, about: About) -> bool | None:
        """Whether the part is unsafe, or refuses; None where the judge does not say, failed, or calls it malformed."""
        if about == "refused":
            return self.refused
        return {"unsafe": True, "safe": False}.get(self.word)

    @property
    def shown(self) -> str:
        return f"{self.word}{_REFUSED[self.refused]}"


def opinion_of(verdict: Verdict) -> Opinion:
    """A verdict as an opinion. Thinking that is absent by design is not judged."""
    if verdict.not_judged or verdict.of_nothing:
        return Opinion("not-judged")
    if verdict.failed:
        return Opinion("failed")
    outcome = verdict.outcome
    word: Word = "unsaid" if outcome in ("failed", "nothing") else outcome  # type: ignore[assignment]
    return Opinion(word, verdict.refused)


def as_labels(opinions: Mapping[str, Opinion]) -> tuple[str, ...]:
    """One label for each member, in order."""
    return tuple(f"{title}={opinion.shown}" for title, opinion in opinions.items())


def opinions_in(verdict: Verdict) -> dict[str, Opinion]:
    """The members' opinions in a panel's verdict; empty for any other judge's."""
    if verdict.judge != PANEL:
        return {}
    found: dict[str, Opinion] = {}
    for label in verdict.labels:
        if (said := _LABEL.fullmatch(label)) is None:
            break  # the members come first, then their own labels
        refused = {",refused": True, ",complied": False}.get(said["refused"] or "")
        found[said["title"]] = Opinion(said["word"], refused)  # type: ignore[arg-type]
    return found


def titles(names: Sequence[str], longer: Sequence[str]) -> list[str]:
    """Distinct titles of members: the name, or the name with its options where several have the name."""
    return [long if names.count(name) > 1 else name for name, long in zip(names, longer, strict=True)]
