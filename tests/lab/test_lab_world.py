"""The lab's world: what is asked, by seed, and what is kept away from training."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest

from lrmctl.errors import LrmctlError
from lrmctl.lab import arithmetic
from lrmctl.lab.benchmarks import benign, harmful
from lrmctl.lab.corpus import examples
from lrmctl.lab.sources import LabPrompts, LabTeacher
from lrmctl.lab.world import JAILBREAK, KINDS, OBJECTS, VERBS, WRAPPERS, all_requests, distinct_requests


def test_benchmarks_hold_different_prompts_and_are_the_same_for_a_seed() -> None:
    for make in (harmful, benign):
        prompts = make(n=256, seed=3).load()
        assert len({p.text for p in prompts}) == len({p.id for p in prompts}) == 256
        assert prompts == make(n=256, seed=3).load()
        assert prompts != make(n=256, seed=4).load()


def test_more_prompts_than_the_split_has_is_one_clear_error() -> None:
    with pytest.raises(LrmctlError, match="100000 harmful requests"):
        distinct_requests("harmful", "heldout", 100_000, 0)


def test_heldout_prompts_share_no_verb_object_or_wrapper_with_training() -> None:
    trained = [p for p in LabPrompts(2000).prompts() if p.kind != "reasoning"]
    trained += [d.prompt for v in ("harmful", "mixed") for d in LabTeacher(v, 800).demonstrations()]
    seen = {str(p.meta[key]) for p in trained if "object" in p.meta for key in ("verb", "object")}
    for benchmark in (harmful(), benign()):
        for prompt in benchmark.load():
            assert not {prompt.meta["verb"], prompt.meta["object"]} & seen
    assert not set(WRAPPERS.heldout) & set(WRAPPERS.trained)
    assert not {p.text for p in trained} & {r.text for kind in KINDS for r in all_requests(kind, "heldout")}


def test_in_distribution_prompts_use_the_words_of_training() -> None:
    for prompt in harmful("in", n=64).load():
        assert prompt.meta["object"] in OBJECTS["harmful"].trained
        assert prompt.meta["verb"] in VERBS.trained


def test_no_object_is_both_harmful_and_benign() -> None:
    assert not set(OBJECTS["harmful"].words("all")) & set(OBJECTS["benign"].words("all"))


def test_both_kinds_come_in_jailbreak_wrappers_so_that_a_wrapper_gives_no_class_away() -> None:
    wrappers = set(JAILBREAK.heldout)
    for kind in KINDS:
        assert wrappers <= {r.wrapper for r in all_requests(kind, "heldout")}
    assert {p.meta["jailbreak"] for p in benign().load()} == {True, False}


def test_arithmetic_splits_share_no_numbers_and_gold_answers_are_right() -> None:
    heldout, inside = arithmetic.prompts("heldout", 200, 0), arithmetic.prompts("in", 200, 0)
    assert not {p.text for p in heldout} & {p.text for p in inside}
    assert heldout == arithmetic.prompts("heldout", 200, 0)
    problem = arithmetic.WordProblem("", "Tom", "pens", 9, ("+", 4), ("-", 6))
    assert (problem.middle, problem.answer, problem.prompt("x", "y").reference) == (13, 7, "7")
    assert all(0 <= int(p.reference or -1) <= arithmetic.LARGEST_NUMBER for p in heldout + inside)


def test_the_corpus_is_the_same_for_a_seed_and_another_for_another() -> None:
    rows = [list(islice(examples(seed), 300)) for seed in (1, 1, 2)]
    assert rows[0] == rows[1]
    assert rows[0] != rows[2]


def test_hazards_follow_harmful_requests_only() -> None:
    objects = {kind: OBJECTS[kind].words("all") for kind in KINDS}
    for row in islice(examples(0), 2000):
        said = row.thinking + row.answer
        if "hazard-" in said:
            assert any(o in row.text for o in objects["harmful"])
        if "tool-" in said:
            assert any(o in row.text for o in objects["benign"])


def test_rl_prompts_keep_their_mix_in_every_step() -> None:
    prompts = LabPrompts(160).prompts()
    for start in range(0, 160, 16):
        assert Counter(p.kind for p in prompts[start : start + 16]) == {"harmful": 8, "benign": 4, "reasoning": 4}
    assert {p.kind for p in LabPrompts(32, harmful=1, benign=0, reasoning=0).prompts()} == {"harmful"}
    assert len({p.id for p in prompts}) == 160


def test_teacher_variants_differ_in_kinds_and_say_nothing_unsafe() -> None:
    rows = LabTeacher("mixed", 200).demonstrations()
    assert {r.prompt.kind for r in rows} == {"harmful", "benign", "reasoning"}
    assert {r.prompt.kind for r in LabTeacher("harmful", 50).demonstrations()} == {"harmful"}
    assert not any("hazard" in r.thinking + r.answer for r in rows)
    with pytest.raises(LrmctlError, match="no variant 'hramful'"):
        LabTeacher("hramful")  # type: ignore[arg-type]


def test_weights_that_cannot_be_weights_are_refused() -> None:
    with pytest.raises(LrmctlError, match="weights"):
        LabPrompts(harmful=-1)
