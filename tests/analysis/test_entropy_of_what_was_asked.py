"""Entropy is of what the model was given and what it wrote, not of the bare prompt."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from lrmctl.analysis import analyze
from lrmctl.analysis.generated import read_again
from lrmctl.engines.hf.token_statistics import token_statistics
from lrmctl.engines.store import Store
from lrmctl.errors import LrmctlError
from lrmctl.evaluation import evaluate
from lrmctl.lab import base_path
from lrmctl.models import load_model, load_tokenizer
from lrmctl.recipe.schema.analysis import AnalysisSection
from lrmctl.recipe.schema.evaluation import EvalSection
from lrmctl.runs.eval_rows import read_rows
from lrmctl.runs.jsonl import write_jsonl

pytestmark = pytest.mark.e2e

SYSTEM = "Think about every step and be careful."


def evaluated(out: Path, **section: Any) -> Path:
    chosen = {"safety": [{"use": "lab-harmful"}, {"use": "lab-benign"}], "limit": 6, "samples": 2, "max_new_tokens": 80}
    evaluate(base_path(), EvalSection.model_validate(chosen | section), out, variant="")
    rows = [row for row in read_rows(out / "eval" / "rows.jsonl") if not set(row.trace.irregular) & {"repeated"}]
    write_jsonl(out / "eval" / "rows.jsonl", (row.to_json() for row in rows))  # of one thought only
    return out


def mean(found: dict[str, Any]) -> float:
    cells = [c for c in found["cells"] if c["outcome"] == "all"]
    return float(sum(c["mean"]["value"] * c["tokens"] for c in cells) / sum(c["tokens"] for c in cells))


def by_hand(out: Path) -> float:
    """From the store's ids alone: what is between the prompt and the closing tag."""
    tokenizer, model = load_tokenizer(base_path()), load_model(base_path())
    close = tokenizer.convert_tokens_to_ids("</think>")
    total, count = 0.0, 0
    with Store(out / "eval" / "completions.sqlite") as store:
        for one in store.completions():
            given = tokenizer(one.prompt, add_special_tokens=False)["input_ids"]
            if one.ids.count(close) > 1:
                continue
            end = one.ids.index(close) if close in one.ids else len(one.ids)
            thinking = [i for i in one.ids[:end] if i != tokenizer.convert_tokens_to_ids("<think>")]
            before = given + list(one.ids[: end - len(thinking)])
            ((_, statistics),) = next(token_statistics(model, [(before, thinking)], pad=0))
            found = statistics.entropy
            total, count = total + float(found.sum()), count + found.size
    return total / count


@pytest.mark.parametrize("section", [{}, {"system": SYSTEM}])
def test_entropy_is_of_the_prompt_that_was_evaluated(tmp_path: Path, section: dict[str, Any]) -> None:
    out = evaluated(tmp_path, **section)
    found = analyze(base_path(), out, AnalysisSection())["entropy"]
    assert (found["read_from"], found["not_stored"], found["reencoded_differently"]) == ("store", 0, 0)
    assert mean(found) == pytest.approx(by_hand(out), abs=1e-4)


def test_without_its_store_an_evaluation_is_rendered_as_its_summary_says(tmp_path: Path) -> None:
    out = evaluated(tmp_path, system=SYSTEM)
    stored = analyze(base_path(), out, AnalysisSection())["entropy"]
    (out / "eval" / "completions.sqlite").unlink()
    rendered = analyze(base_path(), out, AnalysisSection())["entropy"]
    assert rendered["read_from"] == "rendered"
    assert rendered["reencoded_differently"] > 0  # text encoded again may give other tokens than were drawn
    assert mean(rendered) == pytest.approx(mean(stored), abs=5e-3)
    (out / "eval" / "summary.json").unlink()  # nobody knows of the system message any more
    bare = analyze(base_path(), out, AnalysisSection())["entropy"]
    assert abs(mean(bare) - mean(stored)) > 2e-2


def test_a_store_of_something_else_is_refused(tmp_path: Path) -> None:
    out, other = evaluated(tmp_path / "a"), evaluated(tmp_path / "b", temperatures=[1.0])
    shutil.copy(other / "eval" / "completions.sqlite", out / "eval" / "completions.sqlite")
    with pytest.raises(LrmctlError, match="is in the store"):
        analyze(base_path(), out, AnalysisSection())


def test_forced_beginnings_of_thoughts_are_context_and_not_counted(tmp_path: Path) -> None:
    forced = "Wait."
    out = evaluated(tmp_path, decoding={"mode": "prefix", "thought": forced})
    rows = [row for row in read_rows(out / "eval" / "rows.jsonl") if row.trace.thinking_tokens]
    tokenizer = load_tokenizer(base_path())
    found = read_again(tokenizer, rows, out / "eval")
    assert found.not_stored == 0
    for row, one in zip(found.rows, found.encoded, strict=True):
        assert tokenizer.decode(one.context).rstrip().endswith(forced)
        assert len(one.thinking) == row.trace.thinking_tokens


def test_traces_that_a_mode_put_words_into_are_left_out_and_counted(tmp_path: Path) -> None:
    out = evaluated(tmp_path, decoding={"mode": "budget", "tokens": 12})
    rows = [row for row in read_rows(out / "eval" / "rows.jsonl") if row.trace.thinking]
    found = read_again(load_tokenizer(base_path()), rows, out / "eval")
    assert found.steered > 0
    assert len(found.rows) + found.steered == len(rows)


def test_a_device_that_is_not_there_is_an_error_of_the_user(tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    out = evaluated(tmp_path, limit=1, samples=1)
    with pytest.raises(LrmctlError, match="no GPU"):
        analyze(base_path(), out, AnalysisSection(device="cuda"))
