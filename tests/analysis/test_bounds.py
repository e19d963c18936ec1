from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from echo_server import echo_server
from hypothesis import given
from hypothesis import strategies as st
from tiny_network import tiny_network, tiny_tokenizer

from lrmctl.analysis import analyze
from lrmctl.analysis.bounds import entropy_bounds
from lrmctl.errors import LrmctlError
from lrmctl.recipe.schema.analysis import AnalysisSection
from lrmctl.runs.eval_rows import EvalRow
from lrmctl.runs.jsonl import write_jsonl
from lrmctl.runs.writing import write_json
from lrmctl.types import Prompt, Trace


@given(st.integers(2, 400), st.integers(1, 30), st.floats(0.05, 20), st.integers(0, 1_000))
def test_the_true_entropy_lies_between_the_bounds(vocabulary: int, k: int, scale: float, seed: int) -> None:
    logits = np.random.default_rng(seed).normal(size=(8, vocabulary)) * scale
    log_p = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    entropy = -(np.exp(log_p) * log_p).sum(axis=1)
    top = -np.sort(-log_p, axis=1)[:, :k]
    low, high = entropy_bounds(top.astype(np.float32), vocabulary)
    assert (low <= entropy + 1e-5).all()
    assert (high >= entropy - 1e-5).all()


def test_all_of_the_vocabulary_leaves_nothing_open() -> None:
    top = np.log(np.array([[0.5, 0.25, 0.25]], dtype=np.float32))
    low, high = entropy_bounds(top, 3)
    assert low == pytest.approx(1.5 * np.log(2), abs=1e-6)
    assert high == pytest.approx(low, abs=1e-6)


def test_bounds_worked_out_by_hand() -> None:
    """p = .6, .2 known of 6 tokens: the rest .2 is one token of at most .2, or four of .05 each."""
    low, high = entropy_bounds(np.log(np.array([[0.6, 0.2]])), 6)
    known = -0.6 * np.log(0.6) - 0.2 * np.log(0.2)
    assert low == pytest.approx(known - 0.2 * np.log(0.2))
    assert high == pytest.approx(known - 0.2 * np.log(0.05))


def test_a_list_with_gaps_says_nothing_of_how_large_the_others_are() -> None:
    """The server left one of three out: what remains may be one token of .35."""
    low, _ = entropy_bounds(np.array([[np.log(0.6), np.log(0.05), -np.inf]]), 6)
    assert low == pytest.approx(-0.6 * np.log(0.6) - 0.05 * np.log(0.05) - 0.35 * np.log(0.35), abs=1e-6)


def written(folder: Path, model: str) -> None:
    asked = [Prompt.user(name, f"2+{i}?", "reasoning", reference="4") for i, name in enumerate("abc")]
    rows = [EvalRow("m", 0.6, Trace(p, "Wait, 2+2=4.", "4", "closed", thinking_tokens=12), correct=True) for p in asked]
    write_jsonl(folder / "eval" / "rows.jsonl", (row.to_json() for row in rows))
    write_json(folder / "eval" / "summary.json", {"model": model})


def section(url: str, tokenizer: Path, **more: Any) -> AnalysisSection:
    engine = {"use": "openai", "base_url": url, "api": "completions", "tokenizer": str(tokenizer), "patience": 1}
    return AnalysisSection.model_validate({"engine": engine, "top_k": 5, "lexicons": ["cyclicreflex"], **more})


def test_a_server_gives_bounds_that_hold_the_exact_entropy(tmp_path: Path) -> None:
    model, tokenizer = tiny_network(), tiny_tokenizer()
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    written(tmp_path, "served-model")
    with echo_server(model, tokenizer) as url:
        found = analyze(None, tmp_path, section(url, tmp_path / "model"))["entropy"]
    exact = analyze(tmp_path / "model", tmp_path, AnalysisSection(top_k=5, lexicons=("cyclicreflex",)))["entropy"]
    assert found["method"].startswith("bounds")
    for bounds, cell in zip(found["cells"], exact["cells"], strict=True):
        assert bounds["mean_low"]["value"] < cell["mean"]["value"] < bounds["mean_high"]["value"]
        assert bounds["top_mass"]["value"] == pytest.approx(cell["top_mass"]["value"], abs=1e-3)
        assert bounds["logprob"]["value"] == pytest.approx(cell["logprob"]["value"], abs=1e-3)
        assert bounds["tokens"] == cell["tokens"]


def test_bounds_are_no_base_to_compare_with(tmp_path: Path) -> None:
    model, tokenizer = tiny_network(), tiny_tokenizer()
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    written(tmp_path, "served-model")
    with echo_server(model, tokenizer) as url:
        analyze(None, tmp_path, section(url, tmp_path / "model"))
    with pytest.raises(LrmctlError, match="bounds, which give no threshold"):
        analyze(tmp_path / "model", tmp_path, AnalysisSection(), base_dir=tmp_path)


def test_a_server_without_log_probabilities_is_named(tmp_path: Path) -> None:
    tiny_tokenizer().save_pretrained(tmp_path / "model")
    written(tmp_path, "served-model")
    with echo_server(None, None, mute=True) as url, pytest.raises(LrmctlError, match="echoed log-probabilities of 0"):
        analyze(None, tmp_path, section(url, tmp_path / "model"))
