"""Token counts of traces that arrived as text, by the tokenizer of the model that generated them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lrmctl.trace import written_thinking
from lrmctl.types import Trace


class TokenCounter:
    """Counts the tokens of thinking and answer, each as separate text without special tokens.

    The generated tokens may have been different ones for the same text, so counts can differ by a few from those of an
    engine. Without a folder, or a tokenizer in it, traces keep their counts.

    Args:
        folder: of the model; its tokenizer is loaded in the background.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder, self._tokenizer = folder, None
        self._loading = threading.Thread(target=self._load, name="lrmctl-tokenizer", daemon=True)
        self._loading.start()

    def counted(self, trace: Trace) -> Trace:
        """The trace with its missing counts filled in."""
        if trace.thinking_tokens is not None and trace.answer_tokens is not None:
            return trace
        self._loading.join()
        if self._tokenizer is None:
            return trace
        thinking, answer = self._lengths([written_thinking(trace), trace.answer])
        return replace(
            trace,
            thinking_tokens=thinking if trace.thinking_tokens is None else trace.thinking_tokens,
            answer_tokens=answer if trace.answer_tokens is None else trace.answer_tokens,
        )

    def _lengths(self, texts: Sequence[str]) -> list[int]:
        tokenizer: Any = self._tokenizer
        return [len(ids) for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]]

    def _load(self) -> None:
        from lrmctl.models import load_tokenizer

        if self._folder is not None:
            try:
                self._tokenizer = load_tokenizer(self._folder)
            except Exception:  # transformers raises a dozen types; the trainer has reported it already
                self._tokenizer = None
