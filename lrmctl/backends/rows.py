"""Training rows: prompts and demonstrations, rendered and counted with the model's own tokenizer.

Rows that do not fit are dropped here and counted, because trainers truncate them silently: OpenRLHF cuts long responses
at the end and long RL prompts at the beginning.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lrmctl.backends.loss_weights import has_weights, refuse_weights, token_weights
from lrmctl.backends.weight_runs import encoded
from lrmctl.data.pairs.pair import PreferencePair
from lrmctl.data.renderer import RenderedPrompt, Renderer
from lrmctl.data.sources import AskedPrompt, Demonstration
from lrmctl.models.end_of_text import end_of_text
from lrmctl.recipe.schema.loss_weights import LossWeights
from lrmctl.rewards.service.protocol import GivenThought, decode_label, encode_label, thinking_of_label
from lrmctl.types import Prompt

_ROOM = 2  # OpenRLHF drops SFT prompts that leave less than this many tokens for the response


@dataclass(frozen=True)
class CandidateRow:
    """One candidate row, kept or not.

    Attributes:
        prompt_tokens: of the rendered prompt.
        tokens: of prompt and response together; RL: of the prompt; pairs: with the longer response.
    """

    prompt: Prompt
    prompt_tokens: int
    tokens: int
    kept: bool


@dataclass(frozen=True)
class TrainingRows:
    """Rendered rows, and what happened to the others.

    Attributes:
        rows: SFT `{"prompt", "response"}`, with weights also their run lengths; preference `{"prompt", "chosen",
            "rejected"}`; RL `{"prompt", "label"}`.
        too_long: rows dropped because they do not fit.
        merged: rows in which one token spans the end of the prompt and the start of the response.
        longest: tokens of the longest row kept (RL: of the longest prompt kept).
        eval_rows: rows to evaluate on during training; RL rows have a `datasource` too.
        asked: every candidate row, in order, with its token counts; empty for rows made elsewhere.
        source_notes: notes of the sources on rows that they left out, on missing fields, and on how the model thinks.
    """

    rows: tuple[Mapping[str, Any], ...]
    too_long: int = 0
    merged: int = 0
    longest: int = 0
    eval_rows: tuple[Mapping[str, Any], ...] = ()
    asked: tuple[CandidateRow, ...] = ()
    source_notes: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(json.dumps([dict(r) for r in self.rows], sort_keys=True).encode()).hexdigest()

    @property
    def notes(self) -> list[str]:
        """Notes on the data for the user."""
        sentences = [*self.source_notes]
        if self.too_long:
            sentences.append(f"{self.too_long} of {len(self.rows) + self.too_long} rows are too long and left out")
        if self.merged:
            sentences.append(f"in {self.merged} rows a token spans the end of the prompt and the start of the response")
        return sentences


def sft_rows(
    tokenizer: Any,
    demonstrations: Iterable[Demonstration],
    max_len: int,
    how: Renderer | None = None,
    weights: LossWeights | None = None,
) -> TrainingRows:
    """Demonstrations as prompt and response; the response ends with the end-of-text token.

    Args:
        how: template arguments and thinking format; None uses the template's defaults.
        weights: of the tokens in the loss; rows have them only if something weighs other than 1.

    Raises:
        RecipeError: a row's own weight does not fit its response, or stands beside importance weights.
    """
    asked, how = list(demonstrations), how or Renderer(tokenizer)
    texts = [how.demonstration(row) for row in asked]
    prompts, wholes = _encode(tokenizer, [p for p, _ in texts]), _encode(tokenizer, [p + r for p, r in texts])
    sizes = [(len(p), len(w)) for p, w in zip(prompts, wholes, strict=True)]
    fits = [whole <= max_len and prompt < max_len - _ROOM for prompt, whole in sizes]
    kept = [i for i, fit in enumerate(fits) if fit]
    rows: list[Mapping[str, Any]] = [{"prompt": texts[i][0], "response": texts[i][1]} for i in kept]
    if weights is not None and weights.importance is not None:
        refuse_weights(asked)
    elif weights is not None and has_weights(asked, weights):
        end = len(end_of_text(tokenizer).response)
        for n, i in enumerate(kept):
            whole = "".join(texts[i])
            answer_at = len(whole) - end - len(asked[i].answer)
            values = token_weights(asked[i], whole, answer_at, sizes[i][1] - sizes[i][0], weights, tokenizer)
            rows[n] = {**rows[n], **encoded(values)}
    return TrainingRows(
        rows=tuple(rows),
        too_long=len(texts) - len(kept),
        merged=sum(wholes[i][: len(prompts[i])] != prompts[i] for i in kept),
        longest=max((len(wholes[i]) for i in kept), default=0),
        asked=tuple(CandidateRow(row.prompt, *size, fit) for row, size, fit in zip(asked, sizes, fits, strict=True)),
    )


def preference_rows(
    tokenizer: Any, pairs: Iterable[PreferencePair], max_len: int, how: Renderer | None = None
) -> TrainingRows:
    """Pairs as prompt, chosen and rejected response; the shared beginning of both responses is part of the prompt.

    A pair is dropped if either side is too long.
    """
    asked, how = list(pairs), how or Renderer(tokenizer)
    texts = [how.pair(row) for row in asked]
    prompts = _encode(tokenizer, [one.prompt for one in texts])
    wholes = [
        _encode(tokenizer, [one.prompt + one.chosen for one in texts]),
        _encode(tokenizer, [one.prompt + one.rejected for one in texts]),
    ]
    sizes = [(len(p), max(len(c), len(r))) for p, c, r in zip(prompts, *wholes, strict=True)]
    fits = [whole <= max_len and prompt < max_len - _ROOM for prompt, whole in sizes]
    kept = [i for i, fit in enumerate(fits) if fit]
    return TrainingRows(
        rows=tuple(texts[i]._asdict() for i in kept),
        too_long=len(texts) - len(kept),
        merged=sum(any(whole[i][: len(prompts[i])] != prompts[i] for whole in wholes) for i in kept),
        longest=max((sizes[i][1] for i in kept), default=0),
        asked=tuple(CandidateRow(row.prompt, *size, fit) for row, size, fit in zip(asked, sizes, fits, strict=True)),
    )


def rl_rows(
    tokenizer: Any,
    prompts: Iterable[Prompt | AskedPrompt],
    room: int,
    how: Renderer | None = None,
    given: Mapping[int, GivenThought] | None = None,
) -> TrainingRows:
    """Prompts with their labels.

    Args:
        room: tokens available for a prompt, and the thought that is given with it.
        given: by index of the prompt, the beginning of the thinking.

    Raises:
        RecipeError: a thought is given, and thinking is off.
    """
    rows, how, given = _asked(prompts), how or Renderer(tokenizer), given or {}
    asked = [row.prompt for row in rows]
    rendered = [how.prompt(row.prompt, row.template_args, row.system) for row in rows]
    rendered = [how.begun(one, given[i].text) if i in given else one for i, one in enumerate(rendered)]
    texts = [one.text for one in rendered]
    lengths = [len(ids) for ids in _encode(tokenizer, texts)]
    kept = [i for i, n in enumerate(lengths) if n <= room]
    return TrainingRows(
        rows=tuple({"prompt": texts[i], "label": _label(asked[i], rendered[i], given=given.get(i))} for i in kept),
        too_long=len(texts) - len(kept),
        longest=max((lengths[i] for i in kept), default=0),
        asked=tuple(CandidateRow(p, n, n, n <= room) for p, n in zip(asked, lengths, strict=True)),
    )


def _asked(prompts: Iterable[Prompt | AskedPrompt]) -> list[AskedPrompt]:
    return [one if isinstance(one, AskedPrompt) else AskedPrompt(one) for one in prompts]


def _label(prompt: Prompt, rendered: RenderedPrompt, *, given: GivenThought | None = None) -> str:
    return encode_label(prompt, opened=rendered.opened, thinking=rendered.thinking, closed=rendered.closed, given=given)


def eval_rows(
    tokenizer: Any,
    prompts: Iterable[Prompt | AskedPrompt],
    room: int,
    metric: str,
    kinds: Sequence[str],
    how: Renderer | None = None,
) -> TrainingRows:
    """Prompts to evaluate on during training.

    Args:
        metric: the reward component that is averaged, or `reward`.
        kinds: prompt kinds that the metric is defined on: their rows are averaged under the name `best`.
    """
    rows = rl_rows(tokenizer, prompts, room, how)
    labelled = []
    for row in rows.rows:
        prompt, opened = decode_label(row["label"])
        source = "best" if prompt.kind in kinds else prompt.kind
        thinking, closed = thinking_of_label(row["label"])
        label = encode_label(prompt, opened=opened, metric=metric, thinking=thinking, closed=closed)
        labelled.append({**row, "label": label, "datasource": source})
    return replace(rows, rows=tuple(labelled))


def _encode(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    if not texts:
        return []
    ids: list[list[int]] = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    return ids
