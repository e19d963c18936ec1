"""Counts of finished work that know how much more is under way."""

from __future__ import annotations


class Done(int):
    """A number of finished pieces of work, for progress reports, which take plain integers too.

    Attributes:
        work: pieces' worth of work done, which includes those under way and is 0 for what takes no time; an estimate.
    """

    work: float

    def __new__(cls, finished: int, work: float) -> Done:
        made = super().__new__(cls, finished)
        made.work = work
        return made

    def __add__(self, other: int) -> Done:
        """Also finished: `other` pieces, whose work counts as theirs."""
        return Done(int(self) + int(other), self.work + getattr(other, "work", int(other)))

    __radd__ = __add__

    def __reduce__(self) -> tuple[type[Done], tuple[int, float]]:
        return Done, (int(self), self.work)
