"""The tiny model's byte-level BPE tokenizer, trained on the corpus, and a check that it survives a reload.

Digits are split as in Llama-3 (groups of one to three) and every number of the lab is one token. The chat template
opens `<think>` in the generation prompt; the think tags are added tokens but not special, as in R1.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from lrmctl.errors import LrmctlError
from lrmctl.lab.arithmetic import LARGEST_NUMBER
from lrmctl.lab.corpus import examples
from lrmctl.lab.teacher import demonstrate
from lrmctl.lab.world import KINDS, RequestKind, draw_request

VOCABULARY = 896
CONTEXT = 512  # tokens
PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
THINK_TAGS = ("<think>", "</think>")
PIECES = r"\\boxed|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+"
CHAT_TEMPLATE = (
    "{%- for m in messages -%}"
    "{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n<think>\\n' }}{%- endif -%}"
)


def _texts() -> list[str]:
    """The tokenizer's training texts: the corpus, teacher demonstrations, and every number."""
    rng, numbers = Random("tokenizer"), " ".join(map(str, range(LARGEST_NUMBER + 1)))
    texts = []
    for example in islice(examples(0), 3000):
        kind: RequestKind = rng.choice(KINDS)
        thinking, answer = demonstrate(rng, draw_request(rng, kind, "in"))
        texts += [numbers, f"user\n{example.text}", "assistant\n", f"\n{example.thinking}\n", f"\n\n{example.answer}"]
        texts += [thinking, answer]
    return texts


def build_tokenizer() -> Any:
    """The lab's tokenizer, the same for every base model seed."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(THINK_TAGS),
        special_tokens=[PAD, START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(_texts(), trainer)
    tokenizer: Any = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers has no type there
        tokenizer_object=core,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[START],
        padding_side="left",
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.add_tokens(list(THINK_TAGS))
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def verify_tokenizer(path: Path) -> Any:
    """Load a saved tokenizer with `AutoTokenizer` and check the number tokens, think tags and template.

    For some model types `AutoTokenizer` replaces the pre-tokenizer; the model still runs, but its arithmetic breaks.

    Raises:
        LrmctlError: a number is not one token, the think tags are lost, or the template does not open `<think>`.
    """
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(path)
    for number in range(LARGEST_NUMBER + 1):
        if len(ids := tokenizer.encode(str(number), add_special_tokens=False)) != 1:
            raise _broken(path, f"{number} becomes {len(ids)} tokens {tokenizer.convert_ids_to_tokens(ids)}")
    for tag in THINK_TAGS:
        ids = tokenizer.encode(tag, add_special_tokens=False)
        if len(ids) != 1 or tokenizer.decode(ids, skip_special_tokens=True) != tag:
            raise _broken(path, f"{tag} is not one token that decoding keeps")
    opening = tokenizer.apply_chat_template(
        [{"role": "user", "content": "?"}], tokenize=False, add_generation_prompt=True
    )
    if not opening.endswith("<think>\n"):
        raise _broken(path, "the chat template does not open <think>")
    return tokenizer


def _broken(path: Path, what: str) -> LrmctlError:
    return LrmctlError(
        f"the lab's tokenizer does not survive a reload: {what}",
        where=str(path),
        fix="check `model_type` in config.json: transformers replaces the tokenizer's rules for some types",
    )
