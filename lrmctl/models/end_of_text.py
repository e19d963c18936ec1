"""End-of-text tokens: the tokenizer's, the chat template's after an assistant turn, and the generation config's.

They may differ, e.g. for base models with a ChatML template or converted GGUF files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrmctl.errors import LrmctlError
from lrmctl.models.files import read_object

_ASKED, _SAID = "qz7391asked", "qz7391said"
_KNOWN: dict[tuple[str, str], str] = {}


@dataclass(frozen=True)
class EndOfText:
    """The tokens that end a text, as text.

    Attributes:
        tokenizer: its `eos_token`; empty if it has none.
        template: the token that the chat template writes after an assistant turn; empty if it writes no single token.
        generation: those of the generation config.
    """

    tokenizer: str
    template: str
    generation: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """All of them without duplicates."""
        return tuple(dict.fromkeys(filter(None, (*self.generation, self.tokenizer, self.template))))

    @property
    def response(self) -> str:
        """The end of a demonstration: what the template writes after the model's turns."""
        return self.template or self.tokenizer

    @property
    def differs(self) -> bool:
        """Whether the template's end of turn differs from the tokenizer's end of text."""
        return bool(self.template) and self.template != self.tokenizer

    @property
    def note(self) -> str:
        """A sentence on disagreements, with the fix; empty if there are none."""
        listed = ", ".join(self.generation)
        if self.differs:
            said = f"the chat template ends an assistant's turn with {self.template}, the tokenizer names "
            said += f"{self.tokenizer or 'nothing'} as end of text"
            said += f" and generation_config.json {listed}" if listed else ""
            fix = f'"eos_token": "{self.template}" in tokenizer_config.json'
            fix += "" if self.template in self.generation else ", and its id in generation_config.json"
            return f"{said}; completions end at each of them, demonstrations with {self.template} (fix: {fix})"
        if self.tokenizer and self.generation and self.tokenizer not in self.generation:
            said = f"the tokenizer names {self.tokenizer} as end of text, generation_config.json {listed}"
            return f"{said}; completions end at each of them (fix: add the tokenizer's to generation_config.json)"
        return ""


def end_of_text(tokenizer: Any, path: Path | None = None) -> EndOfText:
    """The end-of-text tokens of a model.

    Args:
        path: the checkpoint's folder, for its generation config.
    """
    return EndOfText(tokenizer.eos_token or "", turn_end(tokenizer), _generation(tokenizer, path))


def turn_end(tokenizer: Any) -> str:
    """The token that the chat template writes after an assistant turn; empty if there is none or it is unknown."""
    key = (str(getattr(tokenizer, "chat_template", None)), str(tokenizer.eos_token))
    if key not in _KNOWN:
        if len(_KNOWN) > 64:
            _KNOWN.clear()
        _KNOWN[key] = _turn_end(tokenizer)
    return _KNOWN[key]


def _turn_end(tokenizer: Any) -> str:
    from lrmctl.models.chat import render_chat

    turns = [{"role": "user", "content": _ASKED}, {"role": "assistant", "content": _SAID}]
    try:
        text = render_chat(tokenizer, turns, generate=False, whole=("assistant",))
    except LrmctlError:  # rendering the first real prompt reports the error
        return ""
    after = text.rpartition(_SAID)[2].lstrip()
    special = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
    found = [token for token in (*special, tokenizer.eos_token or "") if token and after.startswith(token)]
    return max(found, key=len, default="")


def _generation(tokenizer: Any, path: Path | None) -> tuple[str, ...]:
    if path is None or not (path / "generation_config.json").is_file():
        return ()
    try:
        listed = read_object(path / "generation_config.json").get("eos_token_id")
    except ValueError:
        return ()
    ids = listed if isinstance(listed, list) else [listed]
    texts = [tokenizer.convert_ids_to_tokens(i) for i in ids if isinstance(i, int) and 0 <= i < len(tokenizer)]
    return tuple(text for text in texts if text)
