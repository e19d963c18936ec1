from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from lrmctl.analysis import analyze
from lrmctl.analysis.entropy import choose, summarize
from lrmctl.analysis.generated import EncodedTrace, encode
from lrmctl.engines.hf.entropy import entropy_of_logits, token_entropies
from lrmctl.errors import NotFoundError
from lrmctl.recipe.schema.recipes import AnalysisSection
from lrmctl.runs.eval_rows import EvalRow
from lrmctl.runs.jsonl import write_jsonl
from lrmctl.types import Prompt, Trace

TEMPLATE = (
    "{% for m in messages %}{{ m['role'] + ':' + m['content'] + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'a:<think>\\n' }}{% endif %}"
)


def tiny_tokenizer(template: str = TEMPLATE) -> PreTrainedTokenizerFast:
    """One token per character, so that every length is known by counting."""
    letters = [chr(i) for i in range(32, 127)] + ["\n"]
    vocab = {c: i for i, c in enumerate(["<eos>", *letters])}
    core = Tokenizer(models.WordLevel(vocab, unk_token="<eos>"))
    core.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    core.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<eos>", pad_token="<eos>", chat_template=template)


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=97, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, eos_token_id=0
    )
    network = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        network.lm_head.weight.mul_(12)  # far from uniform, so that a wrong position would show
    return network


def random_traces() -> list[EncodedTrace]:
    rng = np.random.default_rng(0)
    sizes = [(4, 9), (11, 30), (2, 1), (7, 17), (5, 0)]
    return [EncodedTrace(rng.integers(1, 97, a).tolist(), rng.integers(1, 97, b).tolist(), True) for a, b in sizes]


def pairs(traces: list[EncodedTrace]) -> list[tuple[list[int], list[int]]]:
    return [(trace.context, trace.thinking) for trace in traces]


def brute_force(model: LlamaForCausalLM, trace: EncodedTrace) -> np.ndarray:
    with torch.no_grad():
        logits = model(torch.tensor([trace.context + trace.thinking])).logits[0].double()
    p = torch.softmax(logits, dim=-1)
    entropies = -(p * p.log()).sum(-1)
    return np.array([float(entropies[len(trace.context) + t - 1]) for t in range(len(trace.thinking))])


def test_entropy_equals_a_full_softmax_one_trace_at_a_time(model: LlamaForCausalLM) -> None:
    traces = random_traces()
    for found, trace in zip(token_entropies(model, pairs(traces), pad=0, batch_size=3), traces, strict=True):
        np.testing.assert_allclose(found, brute_force(model, trace), atol=2e-5)


@pytest.mark.parametrize("budget", [1, 97 * 5 * 7, 97 * 5 * 20])
def test_chunking_over_positions_changes_nothing(model: LlamaForCausalLM, budget: int) -> None:
    whole = token_entropies(model, pairs(random_traces()), pad=0)
    chunked = token_entropies(model, pairs(random_traces()), pad=0, logits_budget=budget)
    for a, b in zip(whole, chunked, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


def test_no_call_computes_more_logits_than_the_budget(model: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(
        "lrmctl.engines.hf.entropy.entropy_of_logits",
        lambda logits: (seen.append(logits.numel()), entropy_of_logits(logits))[1],
    )
    token_entropies(model, pairs(random_traces()), pad=0, logits_budget=97 * 5 * 4)
    assert len(seen) > 1
    assert max(seen) <= 97 * 5 * 4


def test_known_distributions_have_their_textbook_entropy() -> None:
    uniform, certain = torch.zeros(8), torch.tensor([0.0] + [-torch.inf] * 7)
    assert entropy_of_logits(uniform).item() == pytest.approx(np.log(8), abs=1e-6)
    assert entropy_of_logits(certain).item() == 0


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0, 300.0])
def test_a_real_vocabulary_is_exact_to_a_few_millionths(scale: float) -> None:
    """Against float64, from nearly uniform to nearly certain; masked words, as some models have, count nothing."""
    logits = torch.randn(16, 152_000, generator=torch.Generator().manual_seed(0)) * scale
    logits[:, ::1000] = -torch.inf
    exact = torch.distributions.Categorical(logits=logits.double()).entropy()
    np.testing.assert_allclose(entropy_of_logits(logits).double(), exact, atol=5e-5)


def test_the_logits_of_contexts_are_not_computed(model: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch) -> None:
    positions: list[int] = []
    monkeypatch.setattr(
        "lrmctl.engines.hf.entropy.entropy_of_logits",
        lambda logits: (positions.append(logits.shape[1]), entropy_of_logits(logits))[1],
    )
    ids = np.random.default_rng(1).integers(1, 97, 5_060).tolist()
    (found,) = token_entropies(model, [(ids[:5_000], ids[5_000:])], pad=0)
    assert sum(positions) == 61  # those that are about the 60 tokens, and the last one
    np.testing.assert_allclose(found, brute_force(model, EncodedTrace(ids[:5_000], ids[5_000:], True)), atol=2e-5)


def test_a_large_vocabulary_makes_batches_smaller_and_not_chunks(
    model: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes: list[tuple[int, int]] = []
    monkeypatch.setattr(
        "lrmctl.engines.hf.entropy.entropy_of_logits",
        lambda logits: (shapes.append(tuple(logits.shape[:2])), entropy_of_logits(logits))[1],
    )
    long = [([1, 2], list(range(1, 90)) * 3) for _ in range(4)]
    token_entropies(model, long, pad=0, logits_budget=97 * 64)
    assert {rows for rows, _ in shapes} == {1}
    assert max(chunk for _, chunk in shapes) == 64


def row(prompt: str, thinking: str, *, tokens: int | None = None, correct: bool = True, sample: int = 0) -> EvalRow:
    asked = Prompt.user(prompt, "2+2?", "reasoning", reference="4")
    count = len(thinking) if tokens is None else tokens
    return EvalRow(
        "m", 0.6, Trace(asked, thinking, "4", "closed", thinking_tokens=count, sample=sample), correct=correct
    )


def test_the_layout_that_gives_the_recorded_length_is_taken() -> None:
    tokenizer = tiny_tokenizer()
    bare = encode(tokenizer, row("a", "Wait, 4."))
    assert (len(bare.thinking), bare.exact) == (8, True)
    with_newline = encode(tokenizer, row("a", "Wait, 4.", tokens=9))
    assert (tokenizer.decode(with_newline.thinking), with_newline.exact) == ("Wait, 4.\n", True)
    other = encode(tokenizer, row("a", "Wait, 4.", tokens=40))
    assert (len(other.thinking), other.exact) == (8, False)
    assert tokenizer.decode(other.context).endswith("<think>\n")


def test_a_template_that_leaves_the_tag_to_the_model_gets_it_in_the_context() -> None:
    tokenizer = tiny_tokenizer(TEMPLATE.replace("<think>\\n", ""))
    found = encode(tokenizer, row("a", "Wait.", tokens=7))
    assert tokenizer.decode(found.context).endswith("a:<think>")
    assert tokenizer.decode(found.thinking) == "\nWait.\n"


def test_every_prompt_is_read_before_any_second_sample() -> None:
    rows = [row(p, "x", sample=s) for p in "abc" for s in range(4)] + [row("d", "")]
    chosen = choose(rows, 4)
    assert [(r.trace.prompt.id, r.trace.sample) for r in chosen] == [("a", 0), ("b", 0), ("c", 0), ("a", 1)]


def test_share_above_counts_against_the_base_threshold() -> None:
    rows = [row("a", "xx"), row("b", "xx", correct=False)]
    entropies = [np.array([0.1, 0.2], np.float32), np.array([0.3, 0.4], np.float32)]
    cells = {c["outcome"]: c for c in summarize(rows, entropies, {("m", "reasoning", 0.6): 0.15})}
    assert cells["all"]["above"]["value"] == pytest.approx(3 / 4)
    assert cells["correct"]["above"]["value"] == pytest.approx(1 / 2)
    assert cells["all"]["mean"]["value"] == pytest.approx(0.25)
    assert cells["incorrect"]["tokens"] == 2


def saved(tmp_path: Path, model: LlamaForCausalLM) -> Path:
    model.save_pretrained(tmp_path / "model")
    tiny_tokenizer().save_pretrained(tmp_path / "model")
    rows = [row(p, "Wait, 2+2=4.", correct=i % 2 == 0) for i, p in enumerate("abcd")]
    write_jsonl(tmp_path / "eval" / "rows.jsonl", (r.to_json() for r in rows))
    return tmp_path / "model"


def test_analyze_writes_both_files_and_fixes_the_threshold_on_the_base(tmp_path: Path, model: LlamaForCausalLM) -> None:
    path = saved(tmp_path, model)
    analyze(path, tmp_path, AnalysisSection())
    found = json.loads((tmp_path / "analysis" / "entropy.json").read_text())
    assert (found["threshold_from"], found["reencoded_differently"], found["traces"]) == ("own", 0, 4)
    (whole,) = [c for c in found["cells"] if c["outcome"] == "all"]
    assert whole["tokens"] == 4 * len("Wait, 2+2=4.")
    assert whole["threshold"] == whole["p80"]
    again = analyze(path, tmp_path, AnalysisSection(), base_dir=tmp_path)["entropy"]
    assert again["threshold_from"] == "base"
    assert again["cells"] == found["cells"]
    assert json.loads((tmp_path / "analysis" / "reflection.json").read_text())["traces"] == 4


def test_without_a_model_only_texts_are_analysed(tmp_path: Path, model: LlamaForCausalLM) -> None:
    saved(tmp_path, model)
    assert set(analyze(None, tmp_path, AnalysisSection())) == {"reflection"}
    assert not (tmp_path / "analysis" / "entropy.json").exists()


def test_nothing_evaluated_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="lrmctl eval"):
        analyze(None, tmp_path, AnalysisSection())
