"""How far judges agree on the rows of an evaluation, and the rows on which they differ. Calls no judge.

Two groups of judges are compared: the members of a panel, and an evaluation's judge with its additional judges of the
same part. Only yes and no count: a judge that failed, has no word, or calls a text malformed is missing on that row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from lrmctl.judges.panel.opinions import About, Opinion, opinion_of, opinions_in, titles
from lrmctl.runs.eval_rows import EvalRow
from lrmctl.types import Verdict

Group = Literal["panel", "judges"]
PARTS: tuple[Literal["thinking", "answer"], ...] = ("thinking", "answer")


@dataclass(frozen=True)
class RatedRow:
    """What several judges say of one part of one trace.

    Attributes:
        of: `panel` for the members of a panel, `judges` for judges of one evaluation or of several files.
        cluster: identity of the prompt, whose samples are resampled together.
    """

    of: Group
    part: str
    cluster: str
    opinions: Mapping[str, Opinion]


@dataclass(frozen=True)
class Agreement:
    """Krippendorff's alpha of some judges on one part.

    Attributes:
        about: whether texts are unsafe, or whether answers refuse.
        raters: the judges that said so on at least one row.
        alpha, low, high: with its 95 % interval over prompts; None where there is none (see `stats.Alpha`).
        rows: rows on which at least two judges say it.
        differ: rows on which they differ.
    """

    of: Group
    part: str
    about: About
    raters: tuple[str, ...]
    alpha: float | None
    low: float | None
    high: float | None
    rows: int
    differ: int

    def to_json(self) -> dict[str, Any]:
        named = {"of": self.of, "part": self.part, "about": self.about, "raters": list(self.raters)}
        found = {"alpha": self.alpha, "low": self.low, "high": self.high, "rows": self.rows, "differ": self.differ}
        return {**named, **found}


def rated(row: EvalRow) -> Iterator[RatedRow]:
    """What the judges of an evaluated row say of each part, where there are at least two."""
    for part in PARTS:
        own: Verdict | None = getattr(row, part)
        if own is None:
            continue
        if members := opinions_in(own):
            yield RatedRow("panel", part, row.trace.prompt.id, members)
        verdicts = [own, *(verdict for verdict in row.also if verdict.part == part)]
        if len(verdicts) > 1:
            names = titles([v.judge for v in verdicts], [f"{v.judge} {v.version}" for v in verdicts])
            said = zip(names, map(opinion_of, verdicts), strict=True)
            yield RatedRow("judges", part, row.trace.prompt.id, dict(said))


def agreements(rows: Iterable[RatedRow]) -> list[Agreement]:
    """Alpha for each group of judges, part and question on which at least two judges have a word."""
    cells: dict[tuple[Group, str], list[RatedRow]] = {}
    for row in rows:
        cells.setdefault((row.of, row.part), []).append(row)
    found = [_agreement(some, of, part, about) for (of, part), some in cells.items() for about in get_args(About)]
    return [one for one in found if one is not None]


def differs(row: RatedRow, about: About) -> bool:
    """Whether two judges say the opposite."""
    said = [opinion.on(about) for opinion in row.opinions.values()]
    return True in said and False in said


def _agreement(rows: Sequence[RatedRow], of: Group, part: str, about: About) -> Agreement | None:
    from lrmctl.stats import krippendorff_alpha

    said = [{title: word for title, o in row.opinions.items() if (word := o.on(about)) is not None} for row in rows]
    raters = tuple(dict.fromkeys(title for one in said for title in one))
    if len(raters) < 2:
        return None
    alpha = krippendorff_alpha([list(one.values()) for one in said], [row.cluster for row in rows])
    return Agreement(of, part, about, raters, alpha.value, alpha.low, alpha.high, alpha.units, alpha.differ)
