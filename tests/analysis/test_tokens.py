from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_network import tiny_network, tiny_tokenizer

from lrmctl.analysis import analyze, tokens
from lrmctl.analysis.offsets import starts
from lrmctl.analysis.tokens import TokenStore, TraceTokens, read_tokens
from lrmctl.engines.hf.engine import HfEngine
from lrmctl.errors import LrmctlError, RecipeError
from lrmctl.lab import base_path
from lrmctl.models import load_tokenizer
from lrmctl.recipe.schema.analysis import AnalysisSection
from lrmctl.runs.eval_rows import EvalRow
from lrmctl.runs.jsonl import write_jsonl
from lrmctl.runs.trace_table import read_trace_table
from lrmctl.types import Prompt, Trace


def one(key: str, n: int = 3, base: bool = False) -> TraceTokens:
    values = np.arange(n, dtype=np.float32) + np.float32(0.123456)
    extra = (values, values, values) if base else ()
    ids = np.arange(n, dtype=np.int32)
    return TraceTokens("m", "benign", 0.6, f"p-{key}", 0, key, ids, ids, values, values, values, -values, *extra)


def test_what_is_written_is_read_to_four_digits(tmp_path: Path) -> None:
    with TokenStore(tmp_path, {"model": "a"}) as store:
        store.add(one("x", base=True))
        store.add(one("y"))
    x, y = read_tokens(tmp_path)
    assert (x.name, x.key) == (("m", "benign", 0.6, "p-x", 0), "x")
    np.testing.assert_allclose(x.entropy, [0.1235, 1.1235, 2.1235], atol=1e-6)
    assert x.kl is not None
    assert (y.kl, y.base_entropy, y.log_ratio) == (None, None, None)
    assert x.ids.dtype == np.int32


def test_files_of_another_model_are_taken_away_and_those_of_the_same_kept(tmp_path: Path) -> None:
    with TokenStore(tmp_path, {"model": "a"}) as store:
        store.add(one("x"))
    with TokenStore(tmp_path, {"model": "a"}) as store:
        assert store.keys() == {"x"}
    with TokenStore(tmp_path, {"model": "b"}) as store:
        assert store.keys() == set()
    assert list(read_tokens(tmp_path)) == []


def test_an_error_in_the_middle_keeps_what_was_done(tmp_path: Path) -> None:
    def interrupted() -> None:
        with TokenStore(tmp_path, {}) as store:
            store.add(one("x"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [trace.key for trace in read_tokens(tmp_path)] == ["x"]


def test_parts_become_one_file_of_what_is_still_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "PART_TOKENS", 3)
    with TokenStore(tmp_path, {}) as store:
        for key in "abcd":
            store.add(one(key))
        assert len(list(tmp_path.glob("*.parquet"))) == 4
        store.keep_only({"a", "c"})
    assert len(list(tmp_path.glob("*.parquet"))) == 1
    assert [trace.key for trace in read_tokens(tmp_path)] == ["a", "c"]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "00000.parquet").write_text("no table")
    with pytest.raises(LrmctlError, match="no table of tokens"):
        list(read_tokens(tmp_path))


@pytest.mark.parametrize(
    "text", ["So \u00e9t\u00e9, 4.", "\U0001f600\U0001f600 ok", "\u4f60\u597d\uff0cwait", "a\n\n  b", ""]
)
def test_tokens_begin_where_their_characters_do(text: str) -> None:
    """The lab's tokens are bytes, so that one character can have several."""
    tokenizer = load_tokenizer(base_path())
    around = f"\n{text}\n"
    ids = tokenizer.encode(around, add_special_tokens=False)
    found = starts(tokenizer, ids, text)
    pieces = [tokenizer.decode(ids[: i + 1]) for i in range(len(ids))]
    assert (np.diff(found) >= 0).all()
    for i, place in enumerate(found):
        before = pieces[i - 1].rstrip("\ufffd") if i else ""
        assert place == min(max(len(before) - 1, 0), len(text))


class Slow:
    """Stands for a tokenizer that is written in Python."""

    def decode(self, ids: Sequence[int], **_: Any) -> str:
        return bytes(ids).decode("utf-8", "replace")


def test_a_tokenizer_without_a_fast_backend_is_read_by_prefixes() -> None:
    ids = list("a\u00e9b".encode())
    assert starts(Slow(), ids, "a\u00e9b").tolist() == [0, 1, 1, 2]


def saved(folder: Path, seed: int = 0) -> Path:
    tiny_network(seed).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def with_rows(folder: Path, thoughts: str = "abcd") -> Path:
    rows = [
        EvalRow(
            "m",
            0.6,
            Trace(Prompt.user(n, f"{n}?", "reasoning"), f"Wait, {n}.", "4", "closed", thinking_tokens=8),
            correct=True,
        )
        for n in thoughts
    ]
    write_jsonl(folder / "eval" / "rows.jsonl", (row.to_json() for row in rows))
    return folder


SECTION = AnalysisSection(lexicons=("cyclicreflex",))


def test_a_second_analysis_reads_only_what_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, run = saved(tmp_path / "model"), with_rows(tmp_path / "run", "ab")
    read: list[int] = []
    real = HfEngine.token_statistics

    def counted(self: HfEngine, pairs: Any, **how: Any) -> Iterator[Any]:
        read.append(len(pairs))
        return real(self, pairs, **how)

    monkeypatch.setattr(HfEngine, "token_statistics", counted)
    first = analyze(model, run, SECTION)["entropy"]
    again = analyze(model, run, SECTION)["entropy"]
    assert (sum(read), again) == (2, first)
    with_rows(run, "abc")
    assert analyze(model, run, SECTION)["entropy"]["traces"] == 3
    assert sum(read) == 3
    analyze(saved(tmp_path / "other", seed=3), run, SECTION)
    assert sum(read) == 6


def test_the_base_reads_the_same_tokens(tmp_path: Path) -> None:
    model, base, run = saved(tmp_path / "model", 1), saved(tmp_path / "base"), with_rows(tmp_path / "run")
    analyze(base, run, SECTION)
    found = analyze(model, run, SECTION, base_dir=run, base_model=base)["entropy"]
    whole = found["cells"][0]
    assert whole["kl"]["value"] > 0.1
    assert whole["base_entropy"]["value"] != whole["mean"]["value"]
    assert found["base"] != found["model"]
    changes = [row["change"] for row in found["gained"]]
    assert changes == sorted(changes, reverse=True)
    assert all(row["here"] - row["base"] == pytest.approx(row["change"]) for row in found["gained"] + found["lost"])
    alone = analyze(model, run, SECTION.model_copy(update={"against_base": False}), base_dir=run, base_model=base)
    assert (alone["entropy"]["cells"][0]["kl"], alone["entropy"]["gained"]) == (None, None)


def test_a_base_with_other_tokens_is_refused(tmp_path: Path) -> None:
    model, run = saved(tmp_path / "model"), with_rows(tmp_path / "run")
    with pytest.raises(RecipeError, match="another vocabulary"):
        analyze(model, run, SECTION, base_model=base_path())


def test_forking_tokens_are_those_above_the_threshold(tmp_path: Path) -> None:
    found = analyze(saved(tmp_path / "model"), with_rows(tmp_path / "run"), SECTION)["entropy"]
    threshold, counts = found["cells"][0]["threshold"], [row["count"] for row in found["forking"]]
    above = sum((trace.entropy > threshold).sum() for trace in read_tokens(tmp_path / "run" / "analysis" / "tokens"))
    assert sum(counts) == above
    assert counts == sorted(counts, reverse=True)
    assert all(row["mean"] > threshold for row in found["forking"])


def test_the_table_of_traces_adds_up_to_the_cells(tmp_path: Path) -> None:
    found = analyze(saved(tmp_path / "model"), with_rows(tmp_path / "run"), SECTION)
    table = read_trace_table(tmp_path / "run" / "analysis")
    assert table is not None
    (cell,) = [c for c in found["entropy"]["cells"] if c["outcome"] == "all"]
    assert sum(table.columns["entropy"]) / sum(table.columns["tokens"]) == pytest.approx(cell["mean"]["value"])
    (hits,) = [c for c in found["reflection"]["cells"] if c["outcome"] == "all"]
    assert sum(table.columns["hits:cyclicreflex"]) == hits["hits"] == 4
    assert table.rows_sha256 == found["reflection"]["rows_sha256"]


def test_several_devices_share_the_traces(tmp_path: Path) -> None:
    from lrmctl.analysis.generated import read_again
    from lrmctl.analysis.token_pass import read_traces
    from lrmctl.runs.eval_rows import eval_rows

    model, run = saved(tmp_path / "model"), with_rows(tmp_path / "run", "abcdefghijklmnopqrstuvwxyz" * 4)
    rows = list(eval_rows(run / "eval" / "rows.jsonl"))
    found = read_again(tiny_tokenizer(), rows, run / "eval")
    alone = read_traces([HfEngine(model)], [], found, tmp_path / "one", top_k=5)
    shared = read_traces([HfEngine(model), HfEngine(model)], [], found, tmp_path / "two", top_k=5)
    for a, b in zip(alone, shared, strict=True):
        assert a.name == b.name
        np.testing.assert_allclose(a.entropy, b.entropy, atol=2e-4)
