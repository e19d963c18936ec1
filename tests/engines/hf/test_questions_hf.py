"""Questions to a real checkpoint in process: batches change nothing, nothing is cut, probabilities are the model's."""

from __future__ import annotations

import inspect
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lrmctl.engines.factory import judge_engine
from lrmctl.engines.hf.engine import HfEngine
from lrmctl.engines.tokens import first_tokens
from lrmctl.errors import NotFoundError, RecipeError
from lrmctl.judges.query import JudgeQuery, JudgeReply, ask

WORDS = ("safe", "unsafe")


def opened(checkpoint: Path, batch_size: int = 16) -> HfEngine:
    return HfEngine(checkpoint, batch_size=batch_size)


def said(text: str, **rest: object) -> JudgeQuery:
    return JudgeQuery(messages=({"role": "user", "content": text},), max_new_tokens=6, **rest)  # type: ignore[arg-type]


MIXED = [
    said("one"),
    said("two", choices=WORDS),
    JudgeQuery(text="three: ", max_new_tokens=3),
    said("a longer one " * 3, choices=WORDS),
    said("a longer one " * 3),
    said("four", prefill="\nSafety:"),
]


def close(found: list[JudgeReply], wanted: list[JudgeReply]) -> None:
    assert [(r.text, r.error) for r in found] == [(r.text, r.error) for r in wanted]
    assert [dict(r.probabilities) for r in found] == [pytest.approx(dict(r.probabilities), rel=1e-4) for r in wanted]


def test_a_batch_is_answered_as_one_at_a_time_and_in_order(checkpoint: Path) -> None:
    one, many = opened(checkpoint, batch_size=1), opened(checkpoint, batch_size=64)
    close(ask(many, MIXED), [ask(one, [query])[0] for query in MIXED])
    assert len({r.text for r in ask(many, MIXED)}) > 2
    assert ask(many, []) == []


@pytest.mark.parametrize("window", [None, 20])
def test_a_common_beginning_is_computed_once_and_changes_nothing(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, window: int | None
) -> None:
    """A model with sliding attention is not given the short cut; its answers are the same too."""
    folder = checkpoint if window is None else sliding(checkpoint, tmp_path, window)
    policy = "the policy of the guard: "
    asks = [JudgeQuery(text=f"{policy}{'x' * (i * 3)} {i}", max_new_tokens=5) for i in range(8)]
    asks += [JudgeQuery(text=ask.text, choices=WORDS) for ask in asks] + [JudgeQuery(text=policy, choices=WORDS)]
    alone, chat = opened(folder, batch_size=1), opened(folder, batch_size=64)
    wanted, model = ask(alone, asks), chat.model
    seen, forward = [], model.forward

    def noted(input_ids, **rest):  # type: ignore[no-untyped-def]
        seen.append(tuple(input_ids.shape))
        return forward(input_ids=input_ids, **rest)

    noted.__signature__ = inspect.signature(forward)  # type: ignore[attr-defined]
    monkeypatch.setattr(model, "forward", noted)
    close(ask(chat, asks), wanted)
    first = next(shape for shape in seen if shape[0] == 9)
    assert seen[0] == (1, len(policy) - 1)
    assert (first[1] < len(asks[7].text)) == (window is None)


def sliding(checkpoint: Path, folder: Path, window: int) -> Path:
    import torch
    from transformers import AutoTokenizer, MistralConfig, MistralForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "initializer_range": 0.2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 96}
    ids = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id, "bos_token_id": None}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = MistralConfig(vocab_size=len(tokenizer), sliding_window=window, **sizes, **heads, **ids)
        MistralForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_first_token_probabilities_are_the_softmax_over_the_vocabulary(checkpoint: Path) -> None:
    import torch

    hf = HfEngine(checkpoint)
    ids = hf.tokenizer("is it? ", add_special_tokens=False, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        table = hf.model(ids).logits[0, -1].softmax(-1)
    (reply,) = ask(opened(checkpoint), [JudgeQuery(text="is it? ", choices=("yes", "no"))])
    wanted = {word: float(table[hf.tokenizer.convert_tokens_to_ids(word[0])]) for word in ("yes", "no")}
    assert dict(reply.probabilities) == pytest.approx(wanted, rel=1e-4)


def test_a_choice_is_every_token_that_it_can_begin_with() -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["safe", "\u0120safe", "un", "\u0120unsafe", "\u010a", "\u0120", *"safeun"]
    vocab = {word: i for i, word in enumerate(dict.fromkeys(words))}
    core = Tokenizer(models.BPE(vocab=vocab, merges=[], ignore_merges=True))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core)
    assert first_tokens(tokenizer, "safe") == {vocab["safe"], vocab["\u0120safe"]}
    assert vocab["\u0120unsafe"] in first_tokens(tokenizer, "unsafe")


def test_a_prefill_begins_the_reply(checkpoint: Path) -> None:
    chat, tokenizer = opened(checkpoint), HfEngine(checkpoint).tokenizer
    whole = tokenizer.apply_chat_template(
        [{"role": "user", "content": "one"}], tokenize=False, add_generation_prompt=True
    )
    asked = ask(
        chat, [said("one", prefill="Safety: "), JudgeQuery(text=whole + "Safety: ", max_new_tokens=6), said("one")]
    )
    assert asked[0] == asked[1] != asked[2]


def test_a_question_too_long_is_an_error_and_never_cut(checkpoint: Path) -> None:
    replies = ask(opened(checkpoint), [said("x" * 200), said("short"), JudgeQuery(text="x" * 92, max_new_tokens=4)])
    assert "room for 90" in replies[0].error
    assert replies[0].text == ""
    assert (replies[1].error, replies[2].error) == ("", "")
    (full,) = ask(opened(checkpoint), [JudgeQuery(text="x" * 97, choices=WORDS)])
    assert "97 tokens" in full.error
    assert not ask(opened(checkpoint), [JudgeQuery(text="x" * 95, choices=WORDS)])[0].error


def test_a_missing_chat_template_is_said_of_messages_only(checkpoint_of) -> None:  # type: ignore[no-untyped-def]
    folder = checkpoint_of(seed=3)
    for name in ("chat_template.jinja", "tokenizer_config.json"):
        if name.endswith("jinja"):
            (folder / name).unlink()
    by_chat, by_text = ask(opened(folder), [said("one"), JudgeQuery(text="one")])
    assert "no chat template" in by_chat.error
    assert by_text.error == ""


def test_choices_that_begin_alike_and_empty_questions_are_errors(checkpoint: Path) -> None:
    alike, empty = ask(opened(checkpoint), [JudgeQuery(text="one", choices=("unsafe", "unclear")), JudgeQuery()])
    assert "does not tell 'unsafe' from 'unclear'" in alike.error
    assert empty.error


def test_out_of_memory_halves_the_batch_and_goes_on(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    chat = opened(checkpoint, batch_size=8)
    asks = [said(f"number {i}", choices=WORDS if i % 2 else ()) for i in range(16)] + [said("x" * 60, choices=WORDS)]
    wanted = ask(chat, asks)
    model = chat.model
    forward = model.forward

    def small_memory(input_ids, **rest):  # type: ignore[no-untyped-def]
        if len(input_ids) > 3 or input_ids.shape[1] > 70:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(input_ids=input_ids, **rest)

    small_memory.__signature__ = inspect.signature(forward)  # type: ignore[attr-defined]
    monkeypatch.setattr(model, "forward", small_memory)
    found = ask(chat, asks)
    close(found[:-1], wanted[:-1])
    assert found[-1].error.startswith("out of memory")


def test_a_question_that_breaks_the_model_is_an_error_of_its_own(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = opened(checkpoint, batch_size=8)
    asks = [said(f"number {i}", choices=WORDS) for i in range(6)] + [said("x" * 60, choices=WORDS)]
    wanted = ask(chat, asks)
    model = chat.model
    forward = model.forward

    def broken(input_ids, **rest):  # type: ignore[no-untyped-def]
        if input_ids.shape[1] > 70:
            raise IndexError("index out of range in self")
        return forward(input_ids=input_ids, **rest)

    broken.__signature__ = inspect.signature(forward)  # type: ignore[attr-defined]
    monkeypatch.setattr(model, "forward", broken)
    found = ask(chat, asks)
    close(found[:-1], wanted[:-1])
    assert found[-1].error.startswith("IndexError: index out of range")


def test_many_threads_get_their_own_answers(checkpoint: Path) -> None:
    chat = opened(checkpoint, batch_size=4)
    wanted = ask(chat, MIXED)
    start = threading.Barrier(8)

    def one(_: int) -> list[JudgeReply]:
        start.wait()
        return ask(chat, MIXED)

    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(one, range(8)):
            close(found, wanted)


def test_equal_arguments_share_an_engine_and_other_batch_sizes_share_its_weights(checkpoint: Path) -> None:
    one = judge_engine(str(checkpoint), batch_size=4)
    assert judge_engine(str(checkpoint), {"use": "hf"}, batch_size=4) is one
    other = judge_engine(str(checkpoint), batch_size=8)
    assert other is not one
    assert other._weights is one._weights  # type: ignore[attr-defined]
    assert one.identity.startswith("hf:float32:")
    assert str(checkpoint) not in one.identity
    assert "<|end|>" in one.control_tokens


def test_a_model_that_is_not_there_is_one_clear_error() -> None:
    engine = judge_engine("./nowhere/at/all")
    with pytest.raises(NotFoundError, match="no model"):
        engine.prepare()


@pytest.mark.parametrize(
    ("engine", "told"),
    [
        ("opnai", "did you mean 'openai'"),
        ({"use": "openai"}, "needs the option 'base_url'"),
        ({"use": "openai", "base_url": "http://x/v1", "concurency": 3}, "did you mean 'concurrency'"),
        ({"use": "openai", "base_url": "http://x/v1", "concurrency": 0}, "engine.concurrency"),
        ({"use": "openai", "base_url": "x"}, "engine.base_url"),
        ({"use": "openai", "base_url": "http://x/v1", "api_key": "abc"}, "api_key_env"),
        ({"use": "openai", "base_url": "http://x/v1", "api_key_env": "sk-123"}, "engine.api_key_env"),
        ({"use": "hf", "base_url": "http://x/v1"}, "'hf' has no option 'base_url'"),
        (3, "a name or a mapping"),
    ],
)
def test_engine_options_are_checked(engine, told) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(RecipeError) as caught:
        judge_engine("m", engine)
    assert told in str(caught.value)
    assert "sk-123" not in str(caught.value)
