"""How a byte-level BPE tokenizer splits a text before merging, by the name that GGUF files give the rule.

transformers ignores `tokenizer.ggml.pre` and splits all as GPT-2 does, which gives other tokens for numbers and code.
The rules are those of llama.cpp (src/llama-vocab.cpp) and of the models' own tokenizer.json.
"""

from __future__ import annotations

from typing import Any

_GPT2 = ("gpt-2", "gpt2", "mpt", "olmo", "jais", "phi-2", "trillion", "granite-docling", "roberta-bpe")
_DIGITS = ("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b")
_LLAMA3 = ("llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral")
_QWEN2 = ("qwen2", "deepseek-r1-qwen", "megrez", "stablelm2")
_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
BEGINS_WITH_BOS = _LLAMA3
"""Rules whose models read a beginning-of-text token although the file does not say so."""
WHOLE_WORDS = _LLAMA3
"""Rules of tokenizers that take a word of the vocabulary as it is, without its merges."""


def known(rule: str) -> bool:
    """Whether the rule of this name is known; others are split as by GPT-2."""
    return rule in (*_GPT2, *_DIGITS, *_LLAMA3, *_QWEN2)


def pre_tokenizer(rule: str) -> Any:
    """The `tokenizers` pre-tokenizer of a rule."""
    from tokenizers import Regex, pre_tokenizers

    if rule in _LLAMA3 or rule in _QWEN2:
        numbers = r"\p{N}{1,3}" if rule in _LLAMA3 else r"\p{N}"
        split = pre_tokenizers.Split(Regex(f"{_WORDS}{numbers}{_REST}"), "isolated")
        return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    whole = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    if rule in _DIGITS:
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), whole])
    return whole


def normalizer(rule: str) -> Any:
    """The `tokenizers` normalizer of a rule, or None."""
    from tokenizers import normalizers

    return normalizers.NFC() if rule in _QWEN2 else None
