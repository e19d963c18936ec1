"""Special tokens: those that a word can begin with, and those that control the model."""

from __future__ import annotations

from typing import Any

from lrmctl.errors import LrmctlError


def first_tokens(tokenizer: Any, choice: str) -> frozenset[int]:
    """Ids of the tokens with which a reply of this word can begin: at the start, after a space, on a new line.

    Tokenizers encode `safe`, ` safe` and the `safe` of a new line with up to three different tokens; which of them a
    model generates depends on its template, so their probabilities are added up. Blank tokens before the word are
    skipped: a model that generates a blank first has to be asked with a `prefill` that ends with it.

    Raises:
        LrmctlError: the tokenizer has no token for it.
    """
    found = set()
    for text in (choice, f" {choice}", f"\n{choice}"):
        ids = tokenizer.encode(text, add_special_tokens=False)
        words = ((i, tokenizer.decode([i]).strip()) for i in ids)
        first = next(((i, word) for i, word in words if word), None)
        if first and choice.startswith(first[1]):
            found.add(first[0])
    if not found:
        raise LrmctlError(f"the tokenizer has no token that {choice!r} begins with")
    return frozenset(found)


def control_tokens(tokenizer: Any) -> tuple[str, ...]:
    """The model's special tokens as text, without single characters."""
    added = tokenizer.added_tokens_decoder.values()
    return tuple(str(token) for token in added if token.special and len(str(token)) > 1)
