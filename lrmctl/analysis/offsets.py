"""Which character of a thought each of its tokens begins at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def starts(tokenizer: Any, ids: Sequence[int], thinking: str) -> NDArray[np.int32]:
    """The character of `thinking` at which each token begins: int32 `[tokens]`, never falling.

    Tokens of blank space before or after the thought get its first character or its length. Where a character is made
    of several tokens, each of them begins at it.

    Args:
        ids: of the thinking, blank space around it included.
        thinking: as the trace has it.
    """
    import numpy as np

    pieces = list(_pieces(tokenizer, ids))
    found = np.cumsum([0, *map(len, pieces)][:-1] if pieces else [], dtype=np.int64)
    before = max(0, "".join(pieces).find(thinking))
    return (found - before).clip(0, len(thinking)).astype(np.int32)


def _pieces(tokenizer: Any, ids: Sequence[int]) -> Iterator[str]:
    """What each token adds to the text; the last token of a character adds all of it."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:  # a tokenizer written in Python
        yield from _by_prefixes(tokenizer, ids)
        return
    from tokenizers.decoders import DecodeStream

    stream = DecodeStream(skip_special_tokens=False)
    for one in ids:
        yield stream.step(backend, int(one)) or ""


def _by_prefixes(tokenizer: Any, ids: Sequence[int]) -> Iterator[str]:
    known = ""
    for end in range(1, len(ids) + 1):
        text = str(tokenizer.decode(ids[:end], clean_up_tokenization_spaces=False))
        if text.endswith("\N{REPLACEMENT CHARACTER}"):
            yield ""
            continue
        yield text[len(known) :]
        known = text
