"""Places in a text as JavaScript counts them: characters beyond U+FFFF count twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Utf16:
    """Turns places of one text, counted in code points as Python does, into UTF-16 code units."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._wide: NDArray[np.int64] | None = None
        self._plain = text.isascii()

    @property
    def characters(self) -> int:
        """Code points of the text."""
        return len(self._text)

    def all(self, places: Sequence[int]) -> list[int]:
        """The places of a list."""
        if not places or self._is_plain():
            return list(places)
        import numpy as np

        found: list[int] = self.array(np.asarray(places, np.int64)).tolist()
        return found

    def array(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """The places of an array `[n]`."""
        if self._is_plain() or self._wide is None:
            return places
        import numpy as np

        return places + np.searchsorted(self._wide, places, side="left")

    def _is_plain(self) -> bool:
        if not self._plain and self._wide is None:
            import numpy as np

            codes = np.frombuffer(self._text.encode("utf-32-le", "surrogatepass"), np.uint32)
            self._wide = np.flatnonzero(codes > 0xFFFF)
            self._plain = len(self._wide) == 0
        return self._plain
