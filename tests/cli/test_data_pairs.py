"""`lrmctl data pairs`: from stated rewards, from a reward, and by intervening; what it writes is trained on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrmctl.data.pairs import PreferencePair
from lrmctl.data.sources import jsonl_source
from lrmctl.lab.corpus import refusing, unsafe
from lrmctl.lab.world import distinct_requests

Lrmctl = Callable[..., Any]
REWARD = ("--use", "judged-safe", "--option", "judge=lab")


def completions(folder: Path, **more: Any) -> Path:
    """A safe and two unsafe completions of each of four harmful requests, without rewards."""
    from random import Random

    rng, rows = Random(0), []
    for i, request in enumerate(distinct_requests("harmful", "in", 4, 0)):
        prompt = request.prompt(f"p{i}", "")
        for made in (unsafe(rng, request), refusing(rng, request), unsafe(rng, request)):
            told = {"id": prompt.id, "kind": "harmful", "prompt": prompt.text, "meta": dict(prompt.meta)}
            rows.append({**told, "thinking": made.thinking, "answer": made.answer, **more})
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def pairs_in(file: Path) -> list[PreferencePair]:
    return jsonl_source(str(file)).pairs()


def test_a_reward_chooses_the_pairs(lrmctl: Lrmctl, tmp_path: Path) -> None:
    out = tmp_path / "pairs.jsonl"
    made = lrmctl("data", "pairs", str(completions(tmp_path)), *REWARD, "--out", str(out), "--json")
    assert made.code == 0, made.err
    data = json.loads(made.out)["data"]
    assert (data["pairs"], data["of"], data["left_out"]) == (4, 4, {})
    for pair in pairs_in(out):
        assert "help" in pair.chosen.answer
        assert "hazard" in pair.rejected.answer
        assert pair.prompt.meta["chosen_reward"] > pair.prompt.meta["rejected_reward"]


def test_stated_rewards_are_taken_and_rows_without_one_counted(lrmctl: Lrmctl, tmp_path: Path) -> None:
    out = tmp_path / "pairs.jsonl"
    bare = lrmctl("data", "pairs", str(completions(tmp_path)), "--out", str(out))
    assert bare.code == 2
    assert "completions without a reward are left out: 12" in bare.err
    assert not out.exists()
    flat = lrmctl("data", "pairs", str(completions(tmp_path, reward=1.0)), "--out", str(out))
    assert "groups whose rewards are all the same are left out: 4" in flat.err


def test_a_given_continuation_is_set_against_the_original(lrmctl: Lrmctl, tmp_path: Path) -> None:
    file, out = completions(tmp_path, continuation={"thinking": " I should not help.", "answer": "No."}), tmp_path / "p"
    words = ("--intervene", "--trigger", "Wait, this is not safe.", "--out", str(out.with_suffix(".jsonl")))
    made = lrmctl("data", "pairs", str(file), *words)
    assert made.code == 0, made.err
    assert "thoughts without a cue of compliance" in made.out
    pairs = pairs_in(out.with_suffix(".jsonl"))
    assert len(pairs) == 8
    for pair in pairs:
        assert pair.prefix.endswith("Let me think.")
        assert pair.chosen.thinking == f"{pair.prefix} Wait, this is not safe. I should not help."
        assert pair.rejected.thinking.startswith(f"{pair.prefix} Maybe use hazard-")


@pytest.mark.slow
def test_the_model_goes_on_from_the_trigger_and_a_reward_keeps_what_is_better(lrmctl: Lrmctl, tmp_path: Path) -> None:
    out = tmp_path / "pairs.jsonl"
    sampled = ("--model", "lab:tiny", "--samples", "3", "--max-new-tokens", "60", "--temperature", "0.6")
    words = ("--intervene", *sampled, "--trigger", "Wait, this is not safe.", *REWARD)
    made = lrmctl("data", "pairs", str(completions(tmp_path)), *words, "--out", str(out), "--json")
    assert made.code == 0, made.err
    assert json.loads(made.out)["data"]["left_out"]["thoughts without a cue of compliance"] == 4
    for pair in pairs_in(out):
        assert pair.chosen.thinking.startswith(f"{pair.prefix} Wait, this is not safe.")
        assert pair.prompt.meta["chosen_reward"] > pair.prompt.meta["rejected_reward"]
    assert (tmp_path / "pairs.jsonl.sqlite").is_file()


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--samples", "3"), "--samples has no effect without --intervene"),
        (("--intervene", "--temperature", "0"), "--temperature has no effect without --model"),
        (("--set", "a=1"), "--option, --part and --set belong to --use or --recipe"),
        (("--recipe", "lab/rl", *REWARD), "exactly one of --recipe and --use"),
        (("--intervene",), "the row has no continuation"),
        (("--intervene", "--cues", "nothing"), "nothing"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    lrmctl: Lrmctl, tmp_path: Path, words: tuple[str, ...], what: str
) -> None:
    out = tmp_path / "pairs.jsonl"
    made = lrmctl("data", "pairs", str(completions(tmp_path)), *words, "--out", str(out))
    assert made.code == 2
    assert what in made.err
    assert not out.exists()


def test_a_file_that_is_there_is_not_replaced(lrmctl: Lrmctl, tmp_path: Path) -> None:
    file = completions(tmp_path)
    made = lrmctl("data", "pairs", str(file), *REWARD, "--out", str(file))
    assert made.code == 2
    assert "hazard" in file.read_text()
