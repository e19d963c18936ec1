"""What is packed for the page comes out as it went in."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unpacking import element, read_chunk, read_index
from viewed_runs import make_run, row, verdict, write_rows, write_tokens

from lrmctl.analysis.tokens import STATISTICS, TokenStore, TraceTokens, name_of, read_tokens
from lrmctl.lexicons import get_lexicon
from lrmctl.runs.eval_rows import EvalRow, read_rows
from lrmctl.types import Prompt, Trace
from lrmctl.viewer import ViewedRun, embed
from lrmctl.viewer.annotations import Annotations, quantized
from lrmctl.viewer.packing import IndexPacker, pack_chunk
from lrmctl.viewer.records import of_rollout, of_row
from lrmctl.viewer.utf16 import Utf16


def as_utf16(text: str) -> str:
    """Each UTF-16 code unit as one character, which is how JavaScript counts."""
    return text.encode("utf-16-le", "surrogatepass").decode("latin-1")


def slice_utf16(text: str, start: int, end: int) -> str:
    return as_utf16(text)[2 * start : 2 * end].encode("latin-1").decode("utf-16-le", "surrogatepass")


@given(st.text(max_size=60), st.data())
def test_places_are_those_of_utf16(text: str, data: st.DataObject) -> None:
    places = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    expected = [len(text[:place].encode("utf-16-le", "surrogatepass")) // 2 for place in places]
    assert Utf16(text).all(places) == expected


def test_every_row_is_in_the_page_with_its_verdicts_and_texts(tmp_path: Path) -> None:
    run = make_run(tmp_path, "base", prompts=3)
    rows = read_rows(run.path / "eval" / "rows.jsonl")
    found = embed([run], lexicon="cyclicreflex")
    head = json.loads(element(found.index, "lrmctl-index"))
    index, chunk = read_index(head["index"]), read_chunk(element(found.chunks, "lrmctl-chunk-0"))
    assert found.count == len(index) == len(rows)
    for i, one in enumerate(rows):
        assert chunk.columns["thinking"][i] == one.trace.thinking
        assert chunk.columns["answer"][i] == one.trace.answer
        assert chunk.columns["prompt"][i] == one.trace.prompt.text
        assert index[i]["kind"] == one.trace.prompt.kind
        assert index[i]["result"] == (one.outcome or ("correct" if one.correct else "incorrect"))
        assert index[i]["thinking_tokens"] == one.trace.thinking_tokens
        words = [one.thinking.outcome, one.answer.outcome] if one.thinking and one.answer else []
        assert [v["word"] for v in chunk.columns["verdicts"][i]] == words


def test_reflections_and_segments_are_where_they_stand_in_the_text(tmp_path: Path) -> None:
    run = make_run(tmp_path, "base", prompts=3)
    (chunk,) = [read_chunk(element(embed([run], lexicon="cyclicreflex").chunks, "lrmctl-chunk-0"))]
    marked = 0
    for i, thinking in enumerate(chunk.columns["thinking"]):
        hits = chunk.columns["hits"][i]
        words = [thinking[a:b].lower() for a, b in zip(hits[::2], hits[1::2], strict=True)]
        assert words == [hit.word for hit in get_lexicon("cyclicreflex").hits(thinking)]
        marked += len(words)
        assert [thinking[a:b] for a, b, _ in chunk.columns["segments"][i]] == thinking.split("\n\n")
        assert {word for _, _, word in chunk.columns["segments"][i]} <= {"safe", "unsafe"}
    assert marked > 0


def test_tokens_keep_their_starts_exactly_and_their_entropy_nearly(tmp_path: Path) -> None:
    run = make_run(tmp_path, "base", prompts=2)
    chunk = read_chunk(element(embed([run]).chunks, "lrmctl-chunk-0"))
    stored = {one.name: one for one in read_tokens(run.path / "analysis" / "tokens")}
    rows = read_rows(run.path / "eval" / "rows.jsonl")
    for one, tokens in zip(rows, chunk.tokens, strict=True):
        wanted = stored[name_of(one)]
        assert tokens is not None
        assert wanted.kl is not None
        assert tokens["starts"] == wanted.start.tolist()
        assert np.allclose(tokens["entropy"], wanted.entropy, atol=0.07)
        assert np.allclose(tokens["kl"], wanted.kl, atol=0.07)


@given(st.lists(st.floats(0, 16), max_size=40))
def test_a_byte_says_small_entropies_finely(nats: list[float]) -> None:
    found = [16 * (byte / 255) ** 2 for byte in quantized(np.array(nats, np.float32))]
    for given_, shown in zip(nats, found, strict=True):
        assert abs(shown - given_) <= 0.004 + 0.032 * given_**0.5


def test_characters_beyond_the_basic_plane_move_no_mark(tmp_path: Path) -> None:
    thinking = "\U0001f642 wait \U0001f642\U0001f642 but no. " + "\U0001f642" * 300 + " wait"
    prompt = Prompt.user("h0", "\U0001f642?", "harmful")
    one = EvalRow("s", 0.6, Trace(prompt, thinking, "no", "closed"), verdict("thinking", True), verdict("answer", True))
    write_rows(tmp_path, [one])
    start = np.array([0, 2, 7, 10, 320], np.int32)
    with TokenStore(tmp_path / "analysis" / "tokens", {}) as store:
        figures = [np.ones(5, np.float32)] * len(STATISTICS)
        store.add(TraceTokens(*name_of(one), "k", start, start, *figures))
    chunk = read_chunk(element(embed([ViewedRun("r", tmp_path)], lexicon="cyclicreflex").chunks, "lrmctl-chunk-0"))
    hits = chunk.columns["hits"][0]
    found = [slice_utf16(thinking, a, b) for a, b in zip(hits[::2], hits[1::2], strict=True)]
    assert found == ["wait", "but", "wait"]
    assert chunk.tokens[0] is not None
    assert chunk.tokens[0]["starts"] == [len(thinking[:a].encode("utf-16-le")) // 2 for a in start]


@pytest.mark.parametrize("text", ["\x00</script><!--\u202e", "\ud800 half", "\u2028\u2029", "x" * 300_000])
def test_any_text_goes_through(text: str) -> None:
    record = of_rollout({"prompt": text, "thinking": text, "answer": text}, "r", 1, None, None)
    chunk = read_chunk(pack_chunk([record]))
    assert chunk.columns["thinking"] == [text]


def test_parts_of_an_index_name_only_new_words_and_join_to_the_whole(tmp_path: Path) -> None:
    run = make_run(tmp_path, "base", prompts=3)
    known, packer = Annotations(run.path), IndexPacker()
    for one in read_rows(run.path / "eval" / "rows.jsonl"):
        packer.add(of_row(one, "base", None, known))
    whole, cut = packer.part(), 7
    first, second = packer.part(0, cut), packer.part(cut)
    assert first["count"] + second["count"] == whole["count"]
    for field in whole["words"]:
        assert first["words"][field] + second["words"][field] == whole["words"][field]
    joined = {"count": second["count"], "words": whole["words"], "columns": second["columns"]}
    assert read_index(joined) == read_index(whole)[cut:]


def test_more_traces_than_the_bound_leave_out_the_same_prompts_in_every_arm_and_say_so(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, name, prompts=8, tokens=False, segments=False) for name in ("base", "rl")]
    found = embed(runs, limit=11)
    index = read_index(json.loads(element(found.index, "lrmctl-index"))["index"])
    taken = {run.label: sorted((r["prompt"], r["sample"]) for r in index if r["run"] == run.label) for run in runs}
    assert taken["base"] == taken["rl"]
    assert len(taken["base"]) == 10  # whole prompts of two samples
    assert len(found.left_out) == 2
    assert found.left_out[0].startswith("base: 10 of 48 traces are in this page (at most 11 of each arm)")


def test_a_bound_on_characters_is_kept_too(tmp_path: Path) -> None:
    run = make_run(tmp_path, "base", prompts=8, tokens=False, segments=False)
    found = embed([run], most_characters=4_000)
    assert 0 < found.count < 48
    assert "what a browser can hold" in found.left_out[0]


def test_analyses_of_other_texts_are_left_out(tmp_path: Path) -> None:
    run = make_run(tmp_path, "base", prompts=2)
    rng = random.Random(1)
    shorter = []
    for old in read_rows(run.path / "eval" / "rows.jsonl"):
        new = row(old.trace.prompt.kind, 1, old.trace.sample, rng)
        trace = Trace(old.trace.prompt, "Wait.", new.trace.answer, "closed", sample=old.trace.sample)
        shorter.append(EvalRow(old.set, old.temperature, trace, old.thinking, old.answer, old.correct))
    write_rows(run.path, shorter)
    chunk = read_chunk(element(embed([run]).chunks, "lrmctl-chunk-0"))
    assert not any(chunk.columns["segments"])
    assert not any(chunk.tokens)


def test_a_run_without_analyses_has_rows_all_the_same(tmp_path: Path) -> None:
    run = make_run(tmp_path, "base", prompts=1, tokens=False, segments=False)
    chunk = read_chunk(element(embed([run]).chunks, "lrmctl-chunk-0"))
    assert chunk.tokens == [None] * 6
    write_tokens(run.path, read_rows(run.path / "eval" / "rows.jsonl"))
    assert all(read_chunk(element(embed([run]).chunks, "lrmctl-chunk-0")).tokens)


def test_a_run_without_rows_gives_no_elements(tmp_path: Path) -> None:
    found = embed([ViewedRun("nothing", tmp_path)])
    assert (found.index, found.chunks, found.count) == ("", "", 0)
