"""The transformers engine on a real checkpoint: determinism, independence of batches, thinking taken apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lrmctl.engines.base import Completion, GenerationRequest, Sampling
from lrmctl.engines.hf.engine import HfEngine
from lrmctl.types import Prompt

WARM = Sampling(1.0, max_new_tokens=24)
GREEDY = Sampling(0.0, max_new_tokens=24)
QUESTIONS = ("hi", "what is two and two?", "a longer question about nothing much", "x" * 30)


def ask(engine: HfEngine, sampling: Sampling, samples: int = 2) -> list[GenerationRequest]:
    texts = [engine.render(Prompt.user(q, q, "benign")) for q in QUESTIONS]
    return [GenerationRequest(text, sampling, i, seed=7) for text in texts for i in range(samples)]


def drawn(engine: HfEngine, requests: Sequence[GenerationRequest]) -> list[Completion]:
    found = {i: c for batch in engine.generate(requests) for i, c in batch}
    return [found[i] for i in range(len(requests))]


def test_results_depend_neither_on_batch_size_nor_on_order(checkpoint: Path) -> None:
    one, many = HfEngine(checkpoint, batch_size=1), HfEngine(checkpoint, batch_size=5)
    requests = ask(one, WARM)
    alone = drawn(one, requests)
    assert drawn(many, requests) == alone
    assert drawn(many, requests[::-1])[::-1] == alone


def test_temperatures_in_one_batch_do_not_disturb_each_other(checkpoint: Path) -> None:
    engine = HfEngine(checkpoint, batch_size=64)
    warm, greedy = ask(engine, WARM), ask(engine, GREEDY)
    assert drawn(engine, warm + greedy) == drawn(engine, warm) + drawn(engine, greedy)


def test_samples_of_one_prompt_differ_and_repeat_with_the_seed(checkpoint: Path) -> None:
    engine = HfEngine(checkpoint)
    requests = ask(engine, WARM, samples=4)
    first = drawn(engine, requests)
    for start in range(0, len(requests), 4):
        assert len({c.ids for c in first[start : start + 4]}) == 4
    assert drawn(engine, requests) == first
    other = drawn(engine, [replace(r, seed=8) for r in requests])
    assert all(a.ids != b.ids for a, b in zip(first, other, strict=True))


def test_greedy_is_what_transformers_generates(checkpoint: Path) -> None:
    engine = HfEngine(checkpoint)
    requests = ask(engine, GREEDY, samples=1)
    for request, completion in zip(requests, drawn(engine, requests), strict=True):
        ids = engine.tokenizer(request.text, return_tensors="pt", add_special_tokens=False)
        out = engine.model.generate(
            input_ids=ids["input_ids"], attention_mask=ids["attention_mask"], max_new_tokens=24, do_sample=False
        )[0, ids["input_ids"].shape[1] :]
        expected = [t for t in out.tolist() if t != engine.tokenizer.eos_token_id]
        assert list(completion.ids) == expected


@pytest.mark.parametrize("special_tags", [False, True])
def test_tags_are_found_whether_they_are_special_tokens_or_not(
    checkpoint_of: Callable[..., Path], special_tags: bool
) -> None:
    engine = HfEngine(checkpoint_of(special_tags=special_tags))
    prompt = Prompt.user("p", "hi", "benign")
    request = GenerationRequest(engine.render(prompt), WARM, sample=3)

    def traced(text: str) -> tuple[str, str, str]:
        ids = tuple(engine.tokenizer(text, add_special_tokens=False)["input_ids"])
        trace = engine.trace(prompt, request, Completion(ids, text, "stop"))
        assert trace.sample == 3
        return trace.thinking, trace.answer, trace.thinking_state

    assert traced("so be it</think>\n\nyes") == ("so be it", "yes", "closed")
    assert traced("so be it, the answer is 4") == ("so be it, the answer is 4", "", "unclosed")


def test_completion_text_shows_what_was_drawn(checkpoint: Path) -> None:
    engine = HfEngine(checkpoint)
    for completion in drawn(engine, ask(engine, WARM)):
        assert completion.text == engine.tokenizer.decode(completion.ids)
        assert engine.tokenizer.eos_token_id not in completion.ids


def test_context_limit_cuts_and_says_so(checkpoint: Path) -> None:
    engine = HfEngine(checkpoint)
    limit = engine.model.config.max_position_embeddings
    texts = [engine.render(Prompt.user(str(n), "x" * n, "benign")) for n in (40, 200)]
    nearly, over = drawn(engine, [GenerationRequest(t, Sampling(0.0, max_new_tokens=4096)) for t in texts])
    assert len(nearly.ids) + len(engine.tokenizer(texts[0])["input_ids"]) <= limit
    assert (over.finish_reason, over.ids, over.text) == ("error", (), "")


def test_identity_tells_weights_and_precision_apart_but_not_places(
    checkpoint: Path, checkpoint_of: Callable[..., Path]
) -> None:
    same, other = checkpoint_of(seed=0), checkpoint_of(seed=1)
    assert HfEngine(same).identity == HfEngine(checkpoint, batch_size=3).identity
    assert HfEngine(other).identity != HfEngine(checkpoint).identity
    assert HfEngine(checkpoint, dtype="bfloat16").identity != HfEngine(checkpoint, dtype="float32").identity


def test_released_weights_are_loaded_again_when_needed(checkpoint: Path) -> None:
    import gc
    import weakref

    engine = HfEngine(checkpoint)
    requests = [GenerationRequest("hi", Sampling(1.0, max_new_tokens=8))]
    first = drawn(engine, requests)
    weights = weakref.ref(engine.model)
    engine.release()
    gc.collect()
    assert weights() is None
    assert drawn(engine, requests) == first
