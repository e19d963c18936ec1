"""Log-likelihood of given texts. They are encoded, truncated and windowed as in lm-evaluation-harness's `hf` model, so
that its log-likelihood tasks give the same numbers. Knows a model and its tokenizer; no tasks.

Work shared by several requests is done once: single-token choices of a multiple-choice question need one row.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from lrmctl.engines.hf.forward import accepted
from lrmctl.engines.hf.memory import cache_bytes, free_bytes, free_cached, out_of_memory, vocabulary
from lrmctl.engines.hf.token_sampling import BROKEN
from lrmctl.engines.probabilities import LogLikelihood
from lrmctl.errors import LrmctlError

if TYPE_CHECKING:
    from torch import Tensor

_LIMITS = ("n_positions", "max_position_embeddings", "n_ctx")
_NO_LIMIT = 2048
"""Context in tokens if neither model nor tokenizer defines it, as in lm-eval."""

_SHARE = 0.4
"""Share of the free memory for one batch."""


_Ids = tuple[int, ...]


class _Span(NamedTuple):
    """Input tokens, and the tokens at their end that are scored."""

    read: _Ids
    scored: _Ids


class TextScorer:
    """Scores texts with a causal LM in eval mode.

    Args:
        batch_size: most rows per batch; None fits it to the free memory.
    """

    def __init__(self, model: Any, tokenizer: Any, batch_size: int | None = None) -> None:
        self._model, self._tokenizer, self._batch_size = model, tokenizer, batch_size
        self._context = _context_of(model, tokenizer)
        first = tokenizer.bos_token_id
        self._prefix = int(tokenizer.eos_token_id if first is None else first)

    def continuations(self, pairs: Sequence[tuple[str, str]]) -> list[LogLikelihood]:
        """Log-likelihood of each (context, continuation). A context that is too long is truncated from the left.

        Raises:
            LrmctlError: a continuation that is longer than the model's context.
            ArithmeticError: the model's logits are NaN.
        """
        return self._scored([self._span(*self._encoded(context, text)) for context, text in pairs])

    def whole(self, texts: Sequence[str]) -> list[float]:
        """Log-likelihood of each whole text, given the prefix token (begin-of-text, else end-of-text). Windows of the
        model's context overlap only in unscored tokens."""
        windows = [(i, window) for i, text in enumerate(texts) for window in self._windows(self._encode(text))]
        scores = self._scored([window for _, window in windows])
        totals = [0.0] * len(texts)
        for (i, _), score in zip(windows, scores, strict=True):
            totals[i] += score.logprob
        return totals

    def _encode(self, text: str) -> list[int]:
        """Encode a text; one that begins with the prefix token's own text gets no second one."""
        if text.startswith(self._tokenizer.decode(self._prefix)):
            return list(self._tokenizer.encode(text, add_special_tokens=False))
        return list(self._tokenizer.encode(text))

    def _encoded(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        """Tokens of both, encoded as one text; spaces between them belong to the continuation."""
        if not context:
            ids = list(self._tokenizer.encode(continuation, add_special_tokens=False))
            return (ids[:1], ids[1:]) if ids[:1] == [self._prefix] else ([self._prefix], ids)
        bare = context.rstrip()
        before, both = self._encode(bare), self._encode(context + continuation)
        return before or [self._prefix], both[len(before) :]

    def _span(self, context: Sequence[int], continuation: Sequence[int]) -> _Span:
        if len(continuation) > self._context:
            what = f"a continuation of {len(continuation)} tokens is longer than the model's context of {self._context}"
            raise LrmctlError(what, fix="score the text as a whole, in windows")
        whole = [*context, *continuation][-self._context - 1 :]
        return _Span(tuple(whole[:-1]), tuple(continuation))

    def _windows(self, ids: Sequence[int]) -> Iterator[_Span]:
        """Windows that each score up to a context's worth of new tokens after as many preceding tokens as fit."""
        size, done = self._context, 0
        known = [self._prefix, *ids]
        while done < len(ids):
            end = min(done + size, len(ids))
            start = max(0, end - size) if done else 0
            yield _Span(tuple(known[start:end]), tuple(ids[done:end]))
            done = end

    def _scored(self, spans: Sequence[_Span]) -> list[LogLikelihood]:
        groups: dict[_Ids, list[int]] = {}
        for i, span in enumerate(spans):
            groups.setdefault(span.read, []).append(i)
        found: list[LogLikelihood] = [LogLikelihood(0.0, True)] * len(spans)  # an empty text is certain
        reads = sorted((r for r in groups if any(spans[i].scored for i in groups[r])), key=lambda r: (-len(r), r))
        start = 0
        while start < len(reads):
            some = reads[start : start + self._rows(len(reads[start]))]
            texts = [[spans[i].scored for i in groups[read]] for read in some]
            for read, scores in zip(some, self._halving(some, texts), strict=True):
                for i, score in zip(groups[read], scores, strict=True):
                    found[i] = score
            start += len(some)
        return found

    def _rows(self, tokens: int) -> int:
        """Rows per batch: three copies of the logits of every position, and the cache's worth of activations."""
        if self._batch_size:
            return self._batch_size
        per_row = tokens * (3 * 4 * vocabulary(self._model) + 4 * cache_bytes(self._model))
        return max(1, min(256, int(_SHARE * free_bytes(self._model.device) / per_row)))

    def _halving(self, reads: Sequence[_Ids], texts: Sequence[Sequence[_Ids]]) -> list[list[LogLikelihood]]:
        """`_forward`, in halves when memory is short."""
        try:
            return self._forward(reads, texts)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error) or len(reads) == 1:
                raise
        free_cached()
        half = (len(reads) + 1) // 2
        self._batch_size = half
        warnings.warn(f"out of memory with {len(reads)} texts side by side: going on with {half}", stacklevel=2)
        return self._halving(reads[:half], texts[:half]) + self._halving(reads[half:], texts[half:])

    def _forward(self, reads: Sequence[_Ids], texts: Sequence[Sequence[_Ids]]) -> list[list[LogLikelihood]]:
        """Scores of the texts at the end of each row, by one right-padded pass; padding changes nothing that comes
        before it. They are computed where the logits are: only two numbers for each text leave the device."""
        import torch

        width, device = max(map(len, reads)), self._model.device
        last = [max(map(len, some)) for some in texts]
        tokens = torch.tensor([[*read, *[0] * (width - len(read))] for read in reads], device=device)
        needed = max(width - len(read) + n for read, n in zip(reads, last, strict=True))
        extra = {"logits_to_keep": needed} if "logits_to_keep" in accepted(self._model) else {}
        found = []
        with torch.inference_mode():
            logits = self._model(input_ids=tokens, use_cache=False, **extra).logits
            for row, read, n, some in zip(logits, reads, last, texts, strict=True):
                end = len(row) - (width - len(read))
                line = torch.log_softmax(row[end - n : end].float(), -1)
                found.append([_of_line(line, scored) for scored in some])
        return found


def _of_line(line: Tensor, scored: Sequence[int]) -> LogLikelihood:
    """Score of the tokens at the end of a line of log-probabilities `[T, V]`."""
    import torch

    if not scored:
        return LogLikelihood(0.0, True)
    line, ids = line[-len(scored) :], torch.tensor(scored, device=line.device)
    total = float(line.gather(1, ids[:, None]).sum())
    if total != total:
        raise ArithmeticError(BROKEN)
    return LogLikelihood(total, bool((line.argmax(-1) == ids).all()))


def _context_of(model: Any, tokenizer: Any) -> int:
    """The model's context in tokens."""
    config = getattr(model.config, "text_config", None) or model.config
    named = [value for name in _LIMITS if (value := getattr(config, name, None)) is not None]
    if named:
        return int(named[0])
    most = getattr(tokenizer, "model_max_length", None)
    return int(most) if most is not None and most < 10**29 else _NO_LIMIT
