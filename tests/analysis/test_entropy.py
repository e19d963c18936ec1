from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_network import TEMPLATE, tiny_network, tiny_tokenizer
from transformers import LlamaForCausalLM

from lrmctl.analysis import analyze
from lrmctl.analysis.entropy import choose, summarize
from lrmctl.analysis.generated import encode
from lrmctl.analysis.segments import JudgedSegment, JudgedThought
from lrmctl.analysis.tokens import TraceTokens, name_of, read_tokens
from lrmctl.errors import NotFoundError
from lrmctl.lexicons import get_lexicon
from lrmctl.recipe.schema.analysis import AnalysisSection
from lrmctl.runs.eval_rows import EvalRow
from lrmctl.runs.jsonl import write_jsonl
from lrmctl.types import Prompt, Trace


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    return tiny_network()


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


LEXICON = get_lexicon("cyclicreflex")


def tokens_of(row: EvalRow, entropy: list[float], start: list[int] | None = None) -> tuple[EvalRow, TraceTokens]:
    n = len(entropy)
    values = np.array(entropy, np.float32)
    places = np.arange(n, dtype=np.int32) if start is None else np.array(start, np.int32)
    return row, TraceTokens(*name_of(row), "key", np.arange(n, dtype=np.int32), places, values, values, values, -values)


def test_share_above_counts_against_the_base_threshold() -> None:
    pairs = [tokens_of(row("a", "xx"), [0.1, 0.2]), tokens_of(row("b", "xx", correct=False), [0.3, 0.4])]
    cells = {c["outcome"]: c for c in summarize(pairs, {("m", "reasoning", 0.6): 0.15}, LEXICON)}
    assert cells["all"]["above"]["value"] == pytest.approx(3 / 4)
    assert cells["correct"]["above"]["value"] == pytest.approx(1 / 2)
    assert cells["all"]["mean"]["value"] == pytest.approx(0.25)
    assert cells["incorrect"]["tokens"] == 2


def test_reflections_are_where_their_first_token_is_and_the_next_token_after_them() -> None:
    """Tokens ` so`, ` wait`, `,`, ` no`: the hit begins inside of the token that has its blank."""
    asked = row("a", "so wait, no")
    (cell, _) = summarize([tokens_of(asked, [1.0, 5.0, 3.0, 2.0], [0, 2, 7, 8])], {}, LEXICON)
    assert cell["at_reflection"]["value"] == 5
    assert cell["after_reflection"]["value"] == 3
    assert cell["elsewhere"]["value"] == pytest.approx(1.5)


def test_the_curve_has_each_tenth_of_every_thought() -> None:
    pairs = [tokens_of(row("a", "x" * 20), [float(i // 2) for i in range(20)]), tokens_of(row("b", "x"), [9.0])]
    (cell, _) = summarize(pairs, {}, LEXICON)
    values = [point["value"] for point in cell["curve"]]
    assert values == [0, 1, 2, 3, 4, pytest.approx(19 / 3), 6, 7, 8, 9]  # the one token of b is in its middle


def test_entropy_by_the_verdict_of_the_segment() -> None:
    asked = row("a", "aa bb")
    segments = (JudgedSegment(0, 2, False, "safe"), JudgedSegment(3, 5, False, "unsafe"))
    pair = tokens_of(asked, [1.0, 1.0, 7.0, 4.0, 6.0])
    (cell, _) = summarize([pair], {}, LEXICON, [JudgedThought(asked, segments)])
    assert {name: one["value"] for name, one in cell["by_segment"].items()} == {"safe": 1, "unsafe": 5}
    assert summarize([pair], {}, LEXICON)[0]["by_segment"] is None


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
    assert all(len(tokens.ids) == len("Wait, 2+2=4.") for tokens in read_tokens(tmp_path / "analysis" / "tokens"))
    assert json.loads((tmp_path / "analysis" / "reflection.json").read_text())["traces"] == 4


def test_without_a_model_only_texts_are_analysed(tmp_path: Path, model: LlamaForCausalLM) -> None:
    saved(tmp_path, model)
    assert set(analyze(None, tmp_path, AnalysisSection())) == {"reflection"}
    assert not (tmp_path / "analysis" / "entropy.json").exists()


def test_nothing_evaluated_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="lrmctl eval"):
        analyze(None, tmp_path, AnalysisSection())
