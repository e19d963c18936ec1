"""What ends a completion: the tokenizer's end of text, what the chat template writes after an assistant's turn, and the
generation config's tokens. They are not always the same: base models with a ChatML template, converted GGUF files.
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
        tokenizer: its `eos_token`; empty if it names none.
        template: what the chat template writes after an assistant's turn; empty where that is no token of its own.
        generation: the generation config's.
    """

    tokenizer: str
    template: str
    generation: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """Each of them once."""
        return tuple(dict.fromkeys(filter(None, (*self.generation, self.tokenizer, self.template))))

    @property
    def response(self) -> str:
        """What a demonstration ends with: what the model reads at the end of its own turns."""
        return self.template or self.tokenizer

    @property
    def differs(self) -> bool:
        """Whether the template ends a turn otherwise than the tokenizer ends a text."""
        return bool(self.template) and self.template != self.tokenizer

    @property
    def note(self) -> str:
        """A sentence on what does not agree, with the fix; empty if all is well."""
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
    """What ends a text of this model.

    Args:
        path: the checkpoint's folder, for its generation config.
    """
    return EndOfText(tokenizer.eos_token or "", turn_end(tokenizer), _generation(tokenizer, path))


def turn_end(tokenizer: Any) -> str:
    """The token that the chat template writes after an assistant's turn; empty if it is none or unknown."""
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
    except LrmctlError:  # the first prompt says what is wrong
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
