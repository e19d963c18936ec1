"""Decides which token ends a text: what the chat template writes after an assistant's turn, where that is one token."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lrmctl.errors import LrmctlError
from lrmctl.models.chat import render_chat
from lrmctl.models.end_of_text import turn_end


@dataclass(frozen=True)
class End:
    """The end of text of an imported model.

    Attributes:
        token: the token that tokenizer, config and generation config name.
        why: why it is this one.
        before: what the source named; empty if nothing.
        stops: ids of all tokens at which generation ends, the token's own first.
    """

    token: str
    why: str
    before: str
    stops: tuple[int, ...]

    @property
    def changed(self) -> bool:
        """Whether the source named another one, or none."""
        return self.token != self.before


def choose_end(tokenizer: Any, listed: Iterable[int], *, set_by_user: bool = False) -> End:
    """Choose the end of text of a tokenizer with a chat template.

    Args:
        listed: ids of the tokens that the source's generation config or metadata name as ends.
        set_by_user: the template does not come with the model, so it must fit the tokenizer.

    Raises:
        LrmctlError: nothing ends a text, or the user's template ends a turn with no token of this tokenizer.
    """
    before, turn = tokenizer.eos_token or "", turn_end(tokenizer)
    if not turn and set_by_user:
        raise _without_end(tokenizer)
    token = turn or before
    if not token:
        what = "nothing ends a text: the tokenizer names no end-of-text token, and the chat template writes none"
        raise LrmctlError(what, str(tokenizer.name_or_path), "set a template that ends a turn with a special token")
    why = "the chat template ends an assistant's turn with it" if turn else _ONLY_TOKENIZER
    own, opening = tokenizer.convert_tokens_to_ids(token), set(_opening_ids(tokenizer))
    others = [i for i in (*listed, tokenizer.eos_token_id) if i is not None and i not in opening]
    return End(token, why, before, tuple(dict.fromkeys((own, *others))))


_ONLY_TOKENIZER = "the tokenizer names it; the chat template writes no single token after an assistant's turn"


def _opening_ids(tokenizer: Any) -> list[int]:
    """Special tokens that the template writes where the model's reply begins: none of them ends a text."""
    asked = [{"role": "user", "content": "qz7391"}]
    try:
        with_prompt = render_chat(tokenizer, asked)
        without = render_chat(tokenizer, asked, generate=False)
    except LrmctlError:  # rendering the first real prompt reports the error
        return []
    opening = with_prompt.removeprefix(without) if with_prompt.startswith(without) else ""
    return [i for i, token in tokenizer.added_tokens_decoder.items() if token.special and str(token) in opening]


def _without_end(tokenizer: Any) -> LrmctlError:
    special = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
    listed = ", ".join(special[:6]) or "none"
    what = (
        "the chat template ends an assistant's turn with no special token of this tokenizer, so that a trained model "
    )
    what += "would never learn to stop"
    fix = f"end the turn with {{{{ eos_token }}}} ({tokenizer.eos_token}) or another special token ({listed})"
    return LrmctlError(what, "--set-template", fix)
