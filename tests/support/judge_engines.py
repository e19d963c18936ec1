"""An engine that answers by a script and keeps what it was asked, and tiny real models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lrmctl.engines.base import Completion, Engine, GenerationRequest, Sampling
from lrmctl.engines.probabilities import FirstTokenProbabilities
from lrmctl.judges.query import JudgeQuery, JudgeReply

GUARD_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class Scripted(Engine):
    """An engine whose reply to each question is given by a function."""

    name = "scripted"
    identity = fingerprint = "scripted"  # type: ignore[assignment]

    def __init__(self, answer: Callable[[JudgeQuery], JudgeReply] | JudgeReply, reserved: tuple[str, ...] = ()) -> None:
        self._answer = answer
        self.control_tokens = reserved
        self.asked: list[JudgeQuery] = []
        self.prepared = 0
        self._queries: dict[str, JudgeQuery] = {}

    def prepare(self) -> None:
        self.prepared += 1

    def question(
        self,
        messages: Sequence[Mapping[str, str]],
        max_new_tokens: int,
        *,
        text: str = "",
        prefill: str = "",
        template_args: Mapping[str, Any] | None = None,
    ) -> GenerationRequest:
        query = JudgeQuery(tuple(messages), text, prefill, max_new_tokens, template_args=template_args or {})
        self._queries[repr(query)] = query
        return GenerationRequest(repr(query), Sampling(0.0), question=True)

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[list[tuple[int, Completion]]]:
        for i, reply in enumerate(self._replies(requests, [()] * len(requests))):
            failed = Completion.failed(reply.error, too_long=reply.too_long)
            yield [(i, failed if reply.error else Completion((), reply.text, "stop"))]

    def first_token_probabilities(
        self, requests: Sequence[GenerationRequest], choices: Sequence[Sequence[str]]
    ) -> list[FirstTokenProbabilities]:
        replies = self._replies(requests, choices)
        return [FirstTokenProbabilities(r.probabilities, r.error, r.too_long) for r in replies]

    def _replies(self, requests: Sequence[GenerationRequest], choices: Sequence[Sequence[str]]) -> list[JudgeReply]:
        queries = [
            replace(self._queries[r.text], choices=tuple(words)) for r, words in zip(requests, choices, strict=True)
        ]
        self.asked += queries
        return [self._answer(query) if callable(self._answer) else self._answer for query in queries]


def babbling_model(folder: Path) -> Path:
    """A guard of random weights: it says nothing that can be read."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from lrmctl.lab.tokenizer import build_tokenizer

    torch.manual_seed(0)
    tokenizer = build_tokenizer()
    tokenizer.chat_template = GUARD_TEMPLATE
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=4096, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def knowing_model(folder: Path, words: dict[str, str], template: str) -> Path:
    """A model with rules for weights: after each word it says its word, one token each, and then ends.

    Its one layer adds nothing, so that the next token follows from the last one alone.

    Args:
        words: last word of the prompt -> what is said.
        template: chat template, which has to end with the response.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from lrmctl.lab.tokenizer import build_tokenizer

    tokenizer = build_tokenizer()
    tokenizer.add_tokens([*words, *words.values()])
    tokenizer.chat_template = template
    size = len(tokenizer) + len(tokenizer) % 2
    config = LlamaConfig(
        vocab_size=size, hidden_size=size, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=2048, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    layer, head = model.model.layers[0], torch.zeros(size, size)
    for word, says in words.items():
        said = tokenizer.convert_tokens_to_ids(says)
        head[said, tokenizer.convert_tokens_to_ids(word)] = head[tokenizer.eos_token_id, said] = 1.0
    with torch.no_grad():
        model.model.embed_tokens.weight.copy_(torch.eye(size))
        model.lm_head.weight.copy_(head)
        layer.self_attn.o_proj.weight.zero_()
        layer.mlp.down_proj.weight.zero_()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
