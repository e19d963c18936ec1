"""A public set is a table of sets.toml: its options, kinds, ids and rows are what its facts say."""

from __future__ import annotations

import sys
from typing import Any

import msgspec
import pytest

from lrmctl.benchmarks import set_facts
from lrmctl.benchmarks.declared import public_set
from lrmctl.benchmarks.set_facts import SetFacts, declared_sets
from lrmctl.data.catalog import CATALOG
from lrmctl.errors import LrmctlError, RecipeError
from lrmctl.hooks import registry

FACTS: dict[str, Any] = {"name": "xstest", "summary": "s", "about": "a", "text": "prompt"}
LABELS = {"column": "label", "kinds": {"safe": "benign", "unsafe": "harmful"}}


def selection(facts: dict[str, Any], **options: object):
    return public_set(msgspec.convert({**FACTS, **facts}, SetFacts)).select(**options)


@pytest.mark.parametrize("name", declared_sets())
def test_the_data_sets_that_are_named_are_catalogued(name):
    facts = declared_sets()[name]
    assert all((split.data or name) in CATALOG for split in facts.splits.values())
    assert facts.splits or name in CATALOG


def test_a_set_without_splits_has_no_such_option_and_is_taken_whole():
    taken = selection({"kind": "harmful"})
    assert (taken.split, taken.kinds, taken.rows) == ("", ("harmful",), CATALOG["xstest"].rows)
    with pytest.raises(RecipeError, match="no option 'split'"):
        registry.make("benchmark", "advbench", split="all")


def test_the_first_split_is_the_default_and_labels_say_the_kinds():
    facts = {"labels": LABELS, "splits": {"unsafe": {"keep": "unsafe", "rows": 200}, "all": {}}}
    first, whole = selection(facts), selection(facts, split="all")
    assert (first.split, first.kinds, first.rows) == ("unsafe", ("harmful",), 200)
    assert [first.keep({"label": label}) for label in ("safe", "unsafe")] == [False, True]
    assert (whole.split, whole.kinds, whole.rows) == ("all", ("harmful", "benign"), 450)
    assert [whole.kind({"label": label}) for label in ("safe", "unsafe")] == ["benign", "harmful"]


def test_a_label_that_nobody_has_explained_is_an_error_and_no_kind():
    with pytest.raises(RecipeError, match="label is 'unsure'") as raised:
        selection({"labels": LABELS}).kind({"label": "unsure"})
    assert raised.value.where == "benchmark xstest"


def test_ids_that_begin_anew_in_each_split_have_the_split_before_them():
    taken = selection({"kind": "benign", "id": "id", "id_within_split": True, "splits": {"a": {}}})
    assert taken.id({"id": 0}) == "a/0"


@pytest.mark.parametrize("split", ["", "x", None])
def test_a_split_that_does_not_exist_is_refused(split):
    with pytest.raises(RecipeError, match="xstest has no split"):
        registry.make("benchmark", "xstest", split=split)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("", "the set has neither kind nor labels"),
        ("splits = { a = {} }", "split 'a' has neither kind nor labels"),
        ('labels = { column = "l", kinds = { x = "benign" } }\nsplits = { a = { keep = "y" } }', "split 'a' keeps 'y'"),
        ('kind = "harmful"\nsplits = { a = { row = 3 } }', "unknown field row"),
        ('kind = "bad"', "kind: invalid enum value 'bad'"),
    ],
)
def test_a_wrong_row_is_one_error_with_file_and_entry(tmp_path, monkeypatch, row, said):
    (tmp_path / "facts").mkdir()
    (tmp_path / "facts" / "__init__.py").touch()
    (tmp_path / "facts" / "sets.toml").write_text(f'[mine]\nsummary = "s"\nabout = "a"\ntext = "prompt"\n{row}\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "facts", raising=False)
    monkeypatch.setattr(set_facts, "__package__", "facts")
    with pytest.raises(LrmctlError) as raised:
        declared_sets()
    assert said in raised.value.what
    assert raised.value.where == "facts/sets.toml: [mine]"
