"""Questions answered by transformers in this process: greedy text, or the probability of the reply's first words.

Built on the evaluation engine's weights and token loop; knows no judge. Questions are sorted by length, so that
batches have little padding; what a batch's questions begin with in common, a guard's policy, is computed once; a
batch that does not fit into memory is halved. A question that is too long is an error,
never cut: a guard that does not see the end of a response must not call it safe.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any
from weakref import WeakValueDictionary

from lrmctl.engines.chat import JudgeQuery, JudgeReply
from lrmctl.engines.encoding import EncodedQuery, Encoder, reserved_tokens
from lrmctl.runs.names import runs_folder


class HfChat:
    """A checkpoint that answers.

    Args:
        model: a local folder, a hub id, `run:NAME` or `lab:tiny`.
        batch_size: questions side by side at most.
        device: `auto`, `cpu`, `cuda` or one GPU, e.g. `cuda:1`.
        dtype: a torch dtype's name; `auto` is float32 on CPU and bfloat16 on CUDA.
        trust_remote_code: the Python code in the model's folder may run.
    """

    def __init__(
        self,
        model: str,
        *,
        batch_size: int = 16,
        device: str = "auto",
        dtype: str = "auto",
        trust_remote_code: bool = False,
    ) -> None:
        self._weights = _Weights.of(model, device, dtype, trust_remote_code)
        self._batch_size = batch_size

    @property
    def identity(self) -> str:
        return str(self._weights.opened.identity)

    @property
    def reserved(self) -> tuple[str, ...]:
        return reserved_tokens(self._weights.tokenizer)

    def check(self) -> None:
        """Raises LrmctlError if there is no such model, or it has no tokenizer; downloads it if it is the hub's."""
        _ = self.reserved

    def why_not(self, asks: Sequence[JudgeQuery]) -> str:
        return Encoder(self._weights.tokenizer, 0).why_not(asks)

    def prepare(self) -> None:
        self._weights.load()

    def ask(self, asks: Sequence[JudgeQuery]) -> list[JudgeReply]:
        """One reply per question, in order.

        Raises:
            LrmctlError: there is no such model, or it cannot be loaded.
        """
        self.prepare()
        rows = self._weights.rows(asks)
        replies = [JudgeReply(error=row.error, too_long=row.too_long) for row in rows]
        asked = sorted((i for i, row in enumerate(rows) if not row.error), key=lambda i: -len(rows[i].ids))
        for kind in (True, False):
            chosen = [i for i in asked if bool(rows[i].ask.choices) == kind]
            for start in range(0, len(chosen), self._batch_size):
                batch = chosen[start : start + self._batch_size]
                for i, reply in zip(batch, self._answers([rows[i] for i in batch]), strict=True):
                    replies[i] = reply
        return replies

    def _answers(self, rows: Sequence[EncodedQuery]) -> list[JudgeReply]:
        """Replies to a batch; in halves if it does not fit into memory, or if one question breaks it for all."""
        try:
            return self._weights.answers(rows)
        except Exception as error:  # of torch, of the model's own code: what one question causes is not the others'
            why = _why(error)
        self._weights.free()
        if len(rows) == 1:
            return [JudgeReply(error=f"{why} (a question of {len(rows[0].ids)} tokens, alone)")]
        middle = len(rows) // 2
        return self._answers(rows[:middle]) + self._answers(rows[middle:])


class _Weights:
    """One checkpoint in memory, for all engines of this process that use it. One batch at a time.

    Tokenizer and model have a lock each: the next batch is encoded while one is computed.
    """

    _open: WeakValueDictionary[tuple[str, str, str, bool], _Weights] = WeakValueDictionary()
    _opening = Lock()

    def __init__(self, model: str, device: str, dtype: str, trust_remote_code: bool) -> None:
        self._trust = trust_remote_code
        self._model, self._device, self._dtype = model, device, dtype
        self._hf: Any = None
        self._encoder: Encoder | None = None
        self._loading, self._computing = Lock(), Lock()

    @classmethod
    def of(cls, model: str, device: str, dtype: str, trust_remote_code: bool) -> _Weights:
        with cls._opening:
            key = (model, device, dtype, trust_remote_code)
            weights = cls._open.get(key) or cls(*key)
            cls._open[key] = weights
            return weights

    @property
    def opened(self) -> Any:
        """The evaluation engine of this checkpoint; it is found and identified here, its weights are not loaded."""
        if self._hf is None:
            with self._loading:
                self._hf = self._hf or self._opened()
        return self._hf

    @property
    def tokenizer(self) -> Any:
        hf = self.opened
        with self._loading:
            return hf.tokenizer

    def load(self) -> None:
        hf = self.opened
        with self._loading:
            _ = hf.model
            self._encoder = self._encoder or Encoder(hf.tokenizer, hf.max_len)

    def rows(self, asks: Sequence[JudgeQuery]) -> list[EncodedQuery]:
        """The questions as token ids; after `load`."""
        assert self._encoder is not None
        return self._encoder.rows(asks)

    def answers(self, rows: Sequence[EncodedQuery]) -> list[JudgeReply]:
        with self._computing:
            if rows[0].ask.choices:
                return self._probabilities(rows)
            return self._texts(rows)

    def free(self) -> None:
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _opened(self) -> Any:
        from lrmctl.engines.hf.engine import HfEngine
        from lrmctl.models import resolve_model

        path = resolve_model(self._model, runs_folder(), trust_remote_code=self._trust)
        return HfEngine(path, device=self._device, dtype=self._dtype)

    def _texts(self, rows: Sequence[EncodedQuery]) -> list[JudgeReply]:
        from lrmctl.engines.base import Sampling
        from lrmctl.engines.hf.batch_sampler import sample
        from lrmctl.models import eos_ids

        hf = self._hf
        how = [Sampling(temperature=0.0, max_new_tokens=row.ask.max_new_tokens) for row in rows]
        ids = [row.ids for row in rows]
        eos, pad = eos_ids(hf.model, hf.tokenizer), hf.tokenizer.pad_token_id or 0
        seeds = [0] * len(rows)
        drawn = sample(hf.model, ids, how, eos=eos, pad=pad, max_len=hf.max_len, seeds=seeds, share_prefix=True)
        assert self._encoder is not None
        return [JudgeReply(text) for text in self._encoder.decoded([one.ids for one in drawn])]

    def _probabilities(self, rows: Sequence[EncodedQuery]) -> list[JudgeReply]:
        from lrmctl.engines.hf.batch_sampler import next_token_probabilities

        hf = self._hf
        table = next_token_probabilities(hf.model, [row.ids for row in rows], pad=hf.tokenizer.pad_token_id or 0)
        replies = []
        for row, line in zip(rows, table, strict=True):
            shares = [min(float(line[sorted(ids)].sum()), 1.0) for ids in row.starts]
            replies.append(JudgeReply(probabilities=dict(zip(row.ask.choices, shares, strict=True))))
        return replies


def _why(error: Exception) -> str:
    import torch

    if isinstance(error, ArithmeticError):
        return str(error)
    on_cpu = "DefaultCPUAllocator: can't allocate" in str(error)  # torch has no class for it
    if on_cpu or isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return "out of memory"
    return f"{type(error).__name__}: {error}"
