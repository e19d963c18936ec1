"""Compares a written folder with the source: special tokens by a round trip, tokens of texts, logits.

The folder is loaded as trainers and engines load it, so whatever transformers changes on loading is seen here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl.errors import LrmctlError
from lrmctl.models.chat import render_chat
from lrmctl.models.importing.ends import End
from lrmctl.models.load import load_model, load_tokenizer

if TYPE_CHECKING:
    from torch import Tensor

TEXTS = (
    "Hello, world! It's the 2nd of May 2024, isn't it?",
    "12345 + 678 = 13023; 3.14159 is about pi, 1,000,000 is a million.",
    "def f(x):\n\tif x:\n        return {'a': [x, None]}\n\n\n    # done  \n",
    "Grüße aus Köln, мир, 世界, \u05e9\u05dc\u05d5\u05dd and \U0001f642 \u2013 \u201cquoted\u201d",
    "<think>\nFirst, a thought.\n</think>\n\nThe answer is \\boxed{42}.",
)
"""What tokenizers differ in: numbers, white space, code, scripts, think tags."""
_CHAT = ({"role": "user", "content": "What is the colour of the sky?"}, {"role": "assistant", "content": "Blue."})
_LARGEST = 1e-4
"""Largest difference of logits, as a share of the largest logit."""


def tokens_of(tokenizer: Any) -> list[list[int]]:
    """Token ids of the texts and of a chat, one list a text."""
    return [list(tokenizer(text)["input_ids"]) for text in TEXTS] + [chat_ids(tokenizer)]


def chat_ids(tokenizer: Any) -> list[int]:
    """Token ids of a short chat with an assistant's turn."""
    text = render_chat(tokenizer, _CHAT, generate=False)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def logits_of(model: Any, tokenizer: Any) -> Tensor:
    """Logits on the short chat: [T, V], float32."""
    import torch

    with torch.inference_mode():
        ids = torch.tensor([chat_ids(tokenizer)])
        logits: Tensor = model(input_ids=ids, use_cache=False).logits[0].float()
    return logits


def check_vocabulary(tokenizer: Any, model: Any, where: str) -> None:
    """Check that every token has a row in the embedding.

    Raises:
        LrmctlError: some have none.
    """
    rows = int(model.get_input_embeddings().weight.shape[0])
    if len(tokenizer) > rows:
        what = f"the tokenizer has {len(tokenizer):,} tokens, the model's embedding only {rows:,} rows"
        raise LrmctlError(what, where, "this tokenizer is not that of these weights; get both from one place")


def check_end(tokenizer: Any, end: End) -> None:
    """Check by a round trip that tokenizer and chat template agree on the end of text.

    Raises:
        LrmctlError: the written tokenizer names another one, or the end is not one token of a rendered turn.
    """
    if tokenizer.eos_token != end.token:
        raise _broken(f"the tokenizer is loaded with the end of text {tokenizer.eos_token} in place of {end.token}")
    if tokenizer(end.token, add_special_tokens=False)["input_ids"] != [end.stops[0]]:
        raise _broken(f"{end.token} is not read as one token")
    if tokenizer.decode([end.stops[0]]) != end.token:
        raise _broken(f"the token {end.stops[0]} is written as {tokenizer.decode([end.stops[0]])!r}, not {end.token}")
    ids = chat_ids(tokenizer)
    if "template" in end.why.split(";")[0] and (
        end.stops[0] not in ids or end.token not in tokenizer.decode(ids).rpartition(_CHAT[1]["content"])[2]
    ):
        raise _broken(f"an assistant's turn that is tokenized and decoded does not end with {end.token}")


def check_written(folder: Path, end: End, dtype: str, tokens: list[list[int]], logits: Tensor) -> float:
    """Load a written folder and compare it with the source.

    Args:
        tokens, logits: the source's, of `tokens_of` and `logits_of`.

    Returns:
        The largest difference of the logits.

    Raises:
        LrmctlError: it differs.
    """
    tokenizer = load_tokenizer(folder)
    check_end(tokenizer, end)
    for i, (own, right) in enumerate(zip(tokens_of(tokenizer), tokens, strict=True)):
        if own != right:
            text = TEXTS[i] if i < len(TEXTS) else "a chat"
            raise _broken(
                f"the written tokenizer reads {text[:40]!r} as {len(own)} tokens, the source's as {len(right)}"
            )
    again = logits_of(load_model(folder, dtype=dtype), tokenizer)
    if again.shape != logits.shape:
        raise _broken(f"the written model has logits of shape {list(again.shape)}, the source {list(logits.shape)}")
    difference = float((again - logits).abs().max())
    if not difference <= _LARGEST * max(1.0, float(logits.abs().max())):
        raise _broken(f"the written model's logits differ from the source's by up to {difference:.3g}")
    return difference


def lost_in_decoding(tokenizer: Any) -> list[str]:
    """Sentences on special tokens and texts that do not survive encoding and decoding."""
    special = [(i, str(t)) for i, t in tokenizer.added_tokens_decoder.items() if t.special]
    odd = [t for i, t in special if tokenizer(t, add_special_tokens=False)["input_ids"] != [i]]
    said = [f"special tokens that are not read as one token: {', '.join(odd[:5])}"] if odd else []
    lossy = [t for t in TEXTS if _again(tokenizer, t).strip() != t.strip()]
    return said + [f"{len(lossy)} of {len(TEXTS)} test texts change when encoded and decoded"] * bool(lossy)


def _again(tokenizer: Any, text: str) -> str:
    return str(tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]))


def _broken(what: str) -> LrmctlError:
    fix = (
        "nothing was kept; transformers changes this model on saving or loading: use the source as it is, or report it"
    )
    return LrmctlError(f"the imported model differs from its source: {what}", fix=fix)
