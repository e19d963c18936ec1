"""Builds from the shipped tiny model, with the real engine, store and judges."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from data_recipes import recipe_of

from lrmctl.builders.run import BuiltData, NothingKeptError, build
from lrmctl.data.sources import load_demonstrations, load_prompts, provenance
from lrmctl.errors import NotFoundError, RunExistsError
from lrmctl.recipe.load import load_recipe
from lrmctl.recipe.schema.sections import Mixed
from lrmctl.runs.jsonl import read_jsonl

Build = Callable[..., BuiltData]
SELECT: dict[str, Any] = {
    "build": {"use": "select"},
    "keep": {"reward": {"components": [{"use": "judged-safe", "options": {"judge": "lab"}}]}},
}


@pytest.fixture(scope="module")
def selection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, BuiltData]]:
    """A build by a reward, in its folder; `run:lab-built` names it."""
    folder = tmp_path_factory.mktemp("selection")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LRMCTL_RUNS_HERE", str(folder / "runs"))
        yield folder, build(recipe_of(folder, **SELECT), runs_dir=folder / "runs")


def test_rows_of_a_selection_are_the_samples_that_pass(selection: tuple[Path, BuiltData]) -> None:
    _, done = selection
    samples = list(read_jsonl(done.folder / "data" / "samples.jsonl"))
    rows = list(read_jsonl(done.folder / "rows.jsonl"))
    assert len(samples) == 32
    assert 0 < len(rows) < 32
    kept = [s for s in samples if s["kept"]]
    assert [(r["id"], r["thinking"], r["answer"], r["sample"]) for r in rows] == [
        (s["prompt_id"], s["thinking"], s["answer"], s["sample"]) for s in kept
    ]
    assert all(s["reward"] >= 1.0 and s["thinking_state"] == "closed" for s in kept)
    assert all(s["dropped"] for s in samples if not s["kept"])
    assert sum(done.summary["samples"].values()) == 32
    assert done.summary["samples"]["kept"] == len(rows) == done.summary["rows"]


def test_the_result_is_a_source_of_recipes(selection: tuple[Path, BuiltData]) -> None:
    _, done = selection
    rows = list(read_jsonl(done.folder / "rows.jsonl"))
    source = Mixed.model_validate("run:lab-built")
    found = load_demonstrations([source])
    assert [(d.thinking, d.answer) for d in found] == [(r["thinking"], r["answer"]) for r in rows]
    assert [p.meta.get("object") for p in load_prompts([source])] == [r.get("meta", {}).get("object") for r in rows]
    (origin,) = provenance([source])
    assert (origin["run"], origin["licences"], origin["rows"]) == ("lab-built", ["not stated"], len(rows))


def test_lock_and_card_name_model_sources_judges_and_licences(selection: tuple[Path, BuiltData]) -> None:
    _, done = selection
    lock = json.loads((done.folder / "lock.json").read_text())
    assert lock["model"]["fingerprint"] == lock["lineage"]["base"]["fingerprint"]
    assert lock["sources"][0]["use"] == "lab-prompts"
    assert lock["data"] == {"rows": done.summary["rows"], "sha256": done.summary["sha256"]}
    assert "license_details: not stated" in (done.folder / "README.md").read_text()
    assert done.summary["audit"]["rows"] == done.summary["rows"]
    assert "lab-harmful/in" in done.summary["audit"]["overlap"]


def test_a_finished_build_is_finished_and_another_recipe_gets_another_name(selection: tuple[Path, BuiltData]) -> None:
    folder, done = selection
    (done.folder / "data" / "completions.sqlite").rename(folder / "away")  # what is finished needs no store
    again = build(recipe_of(folder, **SELECT), runs_dir=folder / "runs")
    assert (again.fresh, again.summary) == (False, done.summary)
    with pytest.raises(RunExistsError, match="in which the recipe differs"):
        build(recipe_of(folder, **SELECT, seed=1), runs_dir=folder / "runs")


def test_an_interrupted_build_draws_and_judges_nothing_twice(
    built: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrmctl.builders.opinions.AT_ONCE", 4)
    log = tmp_path / "calls"
    call = f"open({str(log)!r}, 'a').write(repr((trace.prompt.id, trace.thinking, trace.answer)) + chr(10))"
    (tmp_path / "counted.py").write_text(f"def score(trace):\n    {call}\n    return 1.0\n")
    prompts = [{"use": "lab-prompts", "options": {"n": 4}}]
    keep = {"reward": {"components": [{"fn": "./counted.py:score"}]}}
    sections = {**SELECT, "keep": keep, "batch_size": 8, "prompts": prompts}

    def stop(at: str, least: int) -> Callable[[str, int, int], None]:
        def on_stage(stage: str, done: int, _: int) -> None:
            if stage == at and done >= least:
                raise KeyboardInterrupt

        return on_stage

    with pytest.raises(KeyboardInterrupt):
        built(stop("draw", 5), **sections)
    with pytest.raises(KeyboardInterrupt):
        built(stop("judge", 4), **sections)
    told: list[tuple[str, int, int]] = []
    done = built(lambda *report: told.append(report), **sections)
    assert told[0] == ("draw", 16, 16)
    scored = log.read_text().splitlines()
    assert 8 < len(scored) == len(set(scored))  # equal samples are scored once
    assert done.summary["kinds"]["harmful"]["samples"] == 8


def test_refusing_asks_harmful_prompts_after_an_instruction_that_is_not_in_the_rows(built: Build) -> None:
    said = "I should not help. "
    keep = {"judges": [{"judge": "lab", "part": "both", "when": "harmful"}], "max_per_prompt": 2}
    done = built(build={"use": "refuse", "instruction": said}, keep=keep)
    rows = list(read_jsonl(done.folder / "rows.jsonl"))
    assert {row["kind"] for row in rows} >= {"benign", "reasoning"}
    assert not any(said.strip() in row["messages"][-1]["content"] for row in rows)
    assert _stored_prompts(done.folder, said) == {True: 4, False: 4}
    assert done.summary["judges"][0]["kinds"] == ["harmful"]
    assert max(_per_prompt(rows).values()) <= 2


def test_best_samples_are_those_with_the_highest_reward(built: Build) -> None:
    reward = {"components": [{"use": "format"}, {"use": "judged-safe", "options": {"judge": "lab"}, "weight": 0.5}]}
    keep = {"reward": reward, "at_least": 0.0, "max_per_prompt": 1, "order": "best"}
    done = built(build={"use": "select"}, keep=keep)
    samples = list(read_jsonl(done.folder / "data" / "samples.jsonl"))
    for id in {s["prompt_id"] for s in samples}:
        own = [s for s in samples if s["prompt_id"] == id]
        best = max((s["reward"] for s in own if s["accepted"]), default=None)
        assert [s["reward"] for s in own if s["kept"]] == ([] if best is None else [best])


def test_prompts_that_are_always_or_never_solved_are_dropped_and_the_others_have_their_rate(built: Build) -> None:
    keep = {"reward": {"components": [{"use": "judged-safe", "options": {"judge": "lab"}}]}}
    prompts = [{"use": "lab-prompts", "options": {"n": 16, "harmful": 1, "benign": 0, "reasoning": 0}}]
    done = built(build={"use": "pass-rate"}, keep=keep, prompts=prompts)
    samples = list(read_jsonl(done.folder / "data" / "samples.jsonl"))
    passed: dict[str, list[bool]] = {}
    for s in samples:
        passed.setdefault(s["prompt_id"], []).append(s["accepted"])
    rates = {id: sum(some) / len(some) for id, some in passed.items()}
    found = load_prompts([Mixed.model_validate("run:lab-built")])
    assert {p.id: p.meta["pass_rate"] for p in found} == {id: r for id, r in rates.items() if 0 < r < 1}
    assert found
    assert sum(done.summary["prompts"].values()) == 16


def test_nothing_kept_is_an_error_that_counts_the_reasons(built: Build, tmp_path: Path) -> None:
    keep = {**SELECT["keep"], "at_least": 5.0}
    with pytest.raises(NothingKeptError, match=r"nothing is kept \(reward below 5: \d+"):
        built(build={"use": "select"}, keep=keep)
    assert json.loads((tmp_path / "runs" / "lab-built" / "status.json").read_text())["state"] == "failed"
    with pytest.raises(NotFoundError, match="is not finished"):
        load_prompts([Mixed.model_validate("run:lab-built")])


def _stored_prompts(folder: Path, text: str) -> dict[bool, int]:
    """How many distinct prompts that were drawn contain a text, and how many do not."""
    from lrmctl.engines.store import Store

    with Store(folder / "data" / "completions.sqlite") as store:
        prompts = {one.prompt for one in store.completions()}
    return {has: sum((text in prompt) is has for prompt in prompts) for has in (True, False)}


def _per_prompt(rows: list[dict[str, Any]]) -> dict[str, int]:
    ids = [row["id"] for row in rows]
    return {id: ids.count(id) for id in ids}


@pytest.mark.parametrize("name", ["select", "refuse", "distill", "pass-rate"])
def test_a_shipped_recipe_builds_from_a_few_prompts(name: str, tmp_path: Path) -> None:
    few = ["sampling.samples=4", "prompts=[{use: lab-prompts, options: {n: 8}}]"]
    done = build(load_recipe(f"lab/data/{name}", few), runs_dir=tmp_path)
    assert done.summary["rows"] == len(list(read_jsonl(done.folder / "rows.jsonl"))) > 0


def test_a_backtracked_thought_begins_as_given_turns_and_goes_on(built: Build, tmp_path: Path) -> None:
    prompts = [{"use": "lab-prompts", "options": {"n": 2, "harmful": 1, "benign": 0, "reasoning": 0}}]
    first, other = load_prompts([Mixed.model_validate(prompts[0])])
    start = f"Okay, the user wants to {first.meta['verb']} {first.meta['object']}. So the plan is"
    earlier = tmp_path / "runs" / "earlier" / "rows.jsonl"
    earlier.parent.mkdir(parents=True)
    earlier.write_text(json.dumps({"messages": first.messages, "thinking": start, "answer": "Done."}) + "\n")
    turn = " Wait, this is not safe."
    keep = {"reward": {"components": [{"use": "format"}]}, "at_least": -9, "closed_thinking": False}
    done = built(prompts=prompts, build={"use": "backtrack", "thoughts": "run:earlier", "turn": turn}, keep=keep)
    rows = list(read_jsonl(done.folder / "rows.jsonl"))
    assert {row["id"] for row in rows} == {first.id}
    assert all(row["thinking"].startswith(start + turn) for row in rows)
    assert any(row["answer"].strip() for row in rows)
    assert done.summary["left_out"] == {"no thought to begin with": 1}
    assert other.text != first.text
