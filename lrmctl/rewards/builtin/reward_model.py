"""Helpfulness by a reward model, and a hybrid of a guard and helpfulness.

The reward model is any checkpoint with one scalar head (`AutoModelForSequenceClassification`), loaded at the first
trace. Knows no recipe and no trainer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

from lrmctl.errors import LrmctlError, RecipeError
from lrmctl.hooks.specs import Reward
from lrmctl.judges.base import judge_parts, make_judge
from lrmctl.rewards.base import make_inner_reward, score_part
from lrmctl.rewards.builtin.format import FormatRules, Thinking, without_thinking
from lrmctl.rewards.builtin.options import number
from lrmctl.runs.names import runs_folder
from lrmctl.types import Part, Score, Trace, Verdict


class RewardModel(Reward):
    """The scalar that a reward model gives to prompt and answer; it does not see the thinking.

    Formula: the model's one logit on the conversation and the answer.
    Range: (-inf, inf), as the model was trained.
    Source: any checkpoint with one scalar head (`AutoModelForSequenceClassification`).

    Args:
        model: a local folder or a hub id.
        batch_size: traces per batch.
        device: `auto`, `cpu`, `cuda` or one GPU, e.g. `cuda:1`.
        trust_remote_code: the Python code in the model's folder may be executed.
    """

    range = (-math.inf, math.inf)

    def __init__(self, model: str, batch_size: int = 16, device: str = "auto", trust_remote_code: bool = False) -> None:
        self._model, self._batch_size, self._device, self._trust = model, batch_size, device, trust_remote_code

    def prepare(self) -> None:
        """Load the weights now instead of at the first trace."""
        _scorer(self._model, self._device, self._trust)

    def score(self, traces: Sequence[Trace], part: Part) -> list[Score]:
        if part == "thinking":
            return [Score(error="a reward model reads the answer, not the thinking") for _ in traces]
        scorer = _scorer(self._model, self._device, self._trust)
        found: list[Score] = []
        for start in range(0, len(traces), self._batch_size):
            found += scorer.score(traces[start : start + self._batch_size])
        return found


class GuardHybrid(Reward):
    """Helpfulness, capped where a guard objects.

    Formula, with W the helpfulness of the answer: min(unsafe, W) if thinking or answer is unsafe, else min(refused, W)
    if the answer refuses, else W. Bad form, which the paper does not cover, is capped like unsafe text.
    Range: that of W, down to `unsafe` at least; (-inf, inf) unless W declares its range.
    Source: the hybrid reward of Qwen3Guard (arXiv 2510.14276, section 3.5.1, equation 2), with caps -10 and -5.

    Args:
        judge: registered judge that says whether an answer refuses.
        helpful: registered reward that gives W, computed on the answer.
        judge_options, helpful_options: their options.
        unsafe, refused: the two caps; the paper's by default, for a W of about the same scale.
        thinking: `required`, `optional` or `absent`: the thinking that good form wants.
    """

    range: tuple[float, float] = (-math.inf, math.inf)

    def __init__(
        self,
        judge: str,
        helpful: str = "reward-model",
        judge_options: Mapping[str, Any] | None = None,
        helpful_options: Mapping[str, Any] | None = None,
        unsafe: float = -10.0,
        refused: float = -5.0,
        thinking: Thinking = "required",
    ) -> None:
        unsafe, refused = number("unsafe", unsafe), number("refused", refused)
        if unsafe > refused:
            raise RecipeError(f"the cap for unsafe ({unsafe:g}) lies above the one for refusals ({refused:g})")
        self._judge = make_judge(judge, dict(judge_options or {}))
        self._helpful = make_inner_reward(helpful, dict(helpful_options or {}))
        self._unsafe, self._refused, self._form = unsafe, refused, FormatRules(thinking)
        low, high = self._helpful.range
        self.range = (min(low, unsafe), high)

    def prepare(self) -> None:
        """Load both models now instead of at the first trace."""
        self._judge.prepare()
        self._helpful.prepare()

    def score(self, traces: Sequence[Trace], part: Part) -> list[Score]:
        if part != "whole":
            return [Score(error=f"the hybrid judges thinking and answer together, not the {part}") for _ in traces]
        helpful = score_part(self._helpful, traces, "answer")
        verdicts = judge_parts(self._judge, traces)
        return [self._capped(*one) for one in zip(traces, helpful, verdicts, strict=True)]

    def _capped(self, trace: Trace, helpful: Score, verdicts: Sequence[Verdict]) -> Score:
        if helpful.value is None:
            return Score(error=helpful.error or "the helpfulness of the answer is missing")
        verdicts = verdicts[1:] if trace.answer_only or without_thinking(trace) else verdicts
        outcomes = {verdict.outcome for verdict in verdicts}
        in_form = self._form.holds(trace, "whole")
        logs = {"helpful": helpful.value} | ({"answer_only": 1.0} if trace.answer_only else {})
        if not in_form or outcomes & {"unsafe", "malformed"}:
            return Score(min(self._unsafe, helpful.value), logs=logs)
        if failed := next((v for v in verdicts if v.outcome == "failed"), None):
            return Score(error=f"judge {failed.judge} on the {failed.part}: {failed.error or 'gives no verdict'}")
        refused = verdicts[-1].refused
        if refused is None:
            return Score(error=f"judge {verdicts[-1].judge} does not say whether the answer refuses")
        return Score(min(self._refused, helpful.value) if refused else helpful.value, logs=logs)


class _Scorer:
    """A reward model's weights; one batch at a time."""

    def __init__(self, path: Path, device: str) -> None:
        import torch
        from transformers import AutoModelForSequenceClassification

        from lrmctl.models import load_tokenizer, load_weights

        where = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        dtype = "float32" if where == "cpu" else "bfloat16"
        model = load_weights(AutoModelForSequenceClassification, path, dtype)
        if model.config.num_labels != 1:
            raise RecipeError(f"the reward model has {model.config.num_labels} outputs, not one scalar", str(path))
        self._tokenizer = load_tokenizer(path)
        if model.config.pad_token_id is None:
            model.config.pad_token_id = self._tokenizer.pad_token_id
        self._model, self._lock = model.to(where).eval(), Lock()
        self._room = int(getattr(model.config, "max_position_embeddings", None) or 1 << 30)

    def score(self, traces: Sequence[Trace]) -> list[Score]:
        found = [self._encoded(trace) for trace in traces]
        scores = [one if isinstance(one, Score) else Score(error="not scored") for one in found]
        fitting = {i: one for i, one in enumerate(found) if not isinstance(one, Score)}
        with self._lock:
            for i, value in zip(fitting, self._values(list(fitting.values())), strict=True):
                scores[i] = Score(value)
        return scores

    def _encoded(self, trace: Trace) -> list[int] | Score:
        """Token ids of prompt and answer, or why there is no score."""
        try:
            ids = self._encode(trace)
        except LrmctlError as error:
            return Score(error=error.what)
        if len(ids) > self._room:
            return Score(error=f"prompt and answer are longer than the reward model's {self._room} tokens")
        return ids

    def _encode(self, trace: Trace) -> list[int]:
        from lrmctl.models.chat import ALL_ROLES, render_chat

        messages = [dict(m) for m in trace.prompt.messages] + [{"role": "assistant", "content": trace.answer}]
        text = render_chat(self._tokenizer, messages, generate=False, whole=ALL_ROLES)
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _values(self, ids: Sequence[Sequence[int]]) -> list[float]:
        import torch

        if not ids:
            return []
        batch = self._tokenizer.pad({"input_ids": [list(i) for i in ids]}, padding_side="right", return_tensors="pt")
        with torch.inference_mode():
            logits = self._model(**batch.to(self._model.device)).logits
        values: list[float] = logits[:, 0].float().tolist()
        return values


@lru_cache(maxsize=2)
def _scorer(model: str, device: str, trust_remote_code: bool) -> _Scorer:
    from lrmctl.models import resolve_model

    return _Scorer(resolve_model(model, runs_folder(), head="scalar", trust_remote_code=trust_remote_code), device)
