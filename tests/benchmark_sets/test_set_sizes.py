"""A file that is not the published set is refused in words; sets that need a permission say how to get it."""

from __future__ import annotations

import json

import pytest

from lrmctl.errors import NotFoundError, RecipeError
from lrmctl.hooks import registry
from lrmctl.testing.checks import check_benchmark

ATTACKS = [{"adversarial": f"attack {i}", "label": "1", "data_type": "adversarial_harmful"} for i in range(2000)] + [
    {"adversarial": f"look-alike {i}", "label": "0", "data_type": "adversarial_benign"} for i in range(210)
]


def make(name, **options):
    return registry.make("benchmark", name, **options)


def test_too_few_rows_are_refused_with_both_numbers(lay):
    file = lay(
        "strongreject/strongreject_dataset.csv",
        [{"category": "c", "source": "s", "forbidden_prompt": f"hazard-{i}"} for i in range(5)],
    )
    with pytest.raises(RecipeError, match="it has 5 rows, not 313") as caught:
        make("strongreject").load()
    assert caught.value.where == str(file)
    assert "any_size: true" in caught.value.fix
    benchmark = make("strongreject", any_size=True)
    assert len(benchmark.load()) == 5
    assert (benchmark.provenance()["rows"], benchmark.provenance()["expected_rows"]) == (5, 313)


def test_the_right_number_of_rows_with_the_wrong_labels_is_refused(lay):
    rows = [{"id": i, "prompt": f"p{i}", "type": "t", "label": "safe" if i < 240 else "unsafe"} for i in range(450)]
    lay("xstest/xstest_prompts.csv", rows)
    with pytest.raises(RecipeError, match="240 of its 450 rows are of safe, not 250"):
        make("xstest").load()


def test_a_file_that_holds_one_split_alone_is_that_split(lay):
    lay(
        "xstest/xstest_prompts.csv",
        [{"id": i, "prompt": f"p{i}", "type": "t", "label": "safe"} for i in range(250)],
    )
    assert len(make("xstest").load()) == 250
    with pytest.raises(RecipeError, match="it has 250 rows, not 450"):
        make("xstest", split="unsafe").load()


def test_any_size_does_not_make_an_empty_split_a_benchmark(lay):
    lay("xstest/xstest_prompts.csv", [{"id": 1, "prompt": "p", "type": "t", "label": "safe"}])
    with pytest.raises(RecipeError, match="none of its 1 rows is one of unsafe"):
        make("xstest", split="unsafe", any_size=True).load()


def test_a_file_of_another_set_is_refused_with_the_columns_it_has(lay):
    lay("strongreject/strongreject_dataset.csv", [{"goal": "hazard", "target": "x"}])
    with pytest.raises(RecipeError, match="no column forbidden_prompt, category, source; they have goal, target"):
        make("strongreject").load()


def test_an_empty_prompt_is_refused(lay):
    rows = [{"category": "c", "source": "s", "forbidden_prompt": text} for text in ("hazard", " ")]
    lay("strongreject/strongreject_dataset.csv", rows)
    with pytest.raises(RecipeError, match="prompt 2 is empty"):
        make("strongreject", any_size=True).load()


def test_equal_prompts_keep_ids_of_their_own(lay):
    lay("or_bench/or-bench-hard-1k.csv", [{"prompt": "the same", "category": c} for c in ("a", "b", "c")])
    benchmark = make("or-bench", any_size=True)
    check_benchmark(benchmark)
    first, second, third = (p.id for p in benchmark.load())
    assert (second, third) == (f"{first}-2", f"{first}-3")


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize("name", ["wildjailbreak-eval", "wildguardtest", "sorry-bench"])
def test_a_gated_set_says_where_its_terms_are_and_where_a_file_goes(name):
    benchmark = make(name)
    with pytest.raises(NotFoundError) as caught:
        benchmark.load()
    data = benchmark.selection.data
    for part in (data.url, "hf auth login", f"$LRMCTL_DATA_DIR/{data.file}"):
        assert part in caught.value.fix
        assert part in benchmark.unavailable_reason()


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize("name", ["strongreject", "or-bench", "malicious-instruct"])
def test_an_open_set_that_cannot_be_had_says_where_a_file_goes(name):
    with pytest.raises(NotFoundError) as caught:
        make(name).load()
    assert make(name).selection.data.file in caught.value.fix
    assert "hf auth login" not in caught.value.fix


def test_attacks_and_their_benign_look_alikes_come_from_one_file(lay):
    lay("wildjailbreak_eval/eval.tsv", ATTACKS)
    harmful, benign = make("wildjailbreak-eval").load(), make("wildjailbreak-eval", split="adversarial_benign").load()
    assert (len(harmful), {p.kind for p in harmful}) == (2000, {"harmful"})
    assert (len(benign), {p.kind for p in benign}) == (210, {"benign"})
    assert make("wildjailbreak-eval").provenance()["gated"] is True
    with pytest.raises(RecipeError, match="no split 'vanilla_harmful'") as caught:
        make("wildjailbreak-eval", split="vanilla_harmful")
    assert "training file" in caught.value.fix


def test_sorry_bench_is_asked_in_its_plain_style(data):
    rows = [
        {"question_id": i, "category": str(i % 44), "turns": [f"hazard {i}"], "prompt_style": "base"}
        for i in range(440)
    ]
    file = data / "sorry_bench_202503" / "question.jsonl"
    file.parent.mkdir()
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    benchmark = make("sorry-bench")
    check_benchmark(benchmark)
    assert benchmark.load()[3].id == "sorry-bench/202503/base/3"
    file.write_text(file.read_text() + json.dumps(rows[0] | {"turns": ["slang"], "prompt_style": "slang"}) + "\n")
    with pytest.raises(RecipeError, match="it has 441 rows, not 9240"):
        make("sorry-bench").load()
    assert [p.text for p in make("sorry-bench", style="slang", any_size=True).load()] == ["slang"]
    file.write_text(json.dumps(rows[0] | {"turns": ["one", "two"]}) + "\n")
    with pytest.raises(RecipeError, match="has 2 turns"):
        make("sorry-bench", any_size=True).load()


def test_wildguardtest_goes_by_the_label_of_the_prompt_and_leaves_out_unlabelled_ones(lay):
    counts = {"harmful": (341, 413), "unharmful": (455, 490), "": (0, 26)}
    rows = [
        {"prompt": f"{label} {attack} {i}", "adversarial": attack, "prompt_harm_label": label}
        for label, both in counts.items()
        for attack, count in zip((True, False), both, strict=True)
        for i in range(count)
    ]
    path = str(lay("elsewhere/test.csv", rows))
    attacks = make("wildguardtest", attacks="adversarial", path=path).load()
    assert (len(attacks), {p.kind for p in attacks}, {p.meta["attack"] for p in attacks}) == (
        341,
        {"harmful"},
        {"adversarial"},
    )
    assert len(make("wildguardtest", split="benign", path=path).load()) == 945
    assert len(make("wildguardtest", split="all", path=path).load()) == 1699


def test_malicious_instruct_is_a_text_file_of_one_prompt_a_line(data):
    file = data / "malicious_instruct" / "MaliciousInstruct.txt"
    file.parent.mkdir()
    file.write_text("\r\n".join(f"hazard {i}" for i in range(100)) + "\r\n\r\n")
    prompts = make("malicious-instruct").load()
    assert [p.text for p in prompts] == [f"hazard {i}" for i in range(100)]


@pytest.mark.parametrize(
    ("name", "options", "hint"),
    [
        ("strongreject", {"split": "smal"}, "small"),
        ("harmbench", {"functional": "contextal"}, "contextual"),
        ("xstest", {"split": "Safe"}, "safe"),
        ("or-bench", {"split": "hard-1k"}, "hard"),
        ("sorry-bench", {"version": 2025}, "202503"),
    ],
)
def test_a_split_that_does_not_exist_is_answered_with_one_that_does(name, options, hint):
    with pytest.raises(RecipeError) as caught:
        make(name, **options)
    assert hint in caught.value.fix


def test_a_recipe_that_names_a_wrong_split_does_not_validate(tmp_path):
    from lrmctl.preflight.validate import validate
    from lrmctl.recipe.load import load_recipe

    own = (
        "kind: eval\nname: own\nmodel: lab:tiny\nevaluation:\n  judge: refusal-phrases\n  safety:\n"
        "    - {use: xstest, options: {split: saef}}\n"
    )
    (tmp_path / "own.yaml").write_text(own)
    with pytest.raises(RecipeError, match=r"own\.yaml:7.*xstest has no split 'saef'; did you mean 'safe'"):
        validate(load_recipe(str(tmp_path / "own.yaml")))


@pytest.mark.parametrize(
    ("options", "said"), [({"n": "many"}, "n is 'many'"), ({"split": ["safe"]}, "'xstest' does not take")]
)
def test_a_value_of_the_wrong_type_is_one_clear_error(options, said):
    with pytest.raises(RecipeError, match=said):
        registry.check("benchmark", "xstest", options)


def test_an_option_that_a_set_does_not_have_is_named():
    with pytest.raises(RecipeError, match="no option 'fonctional'") as caught:
        registry.check("benchmark", "harmbench", {"fonctional": "standard"})
    assert "'functional'" in caught.value.fix


def test_asking_for_no_prompts_is_refused():
    with pytest.raises(RecipeError, match="n is 0"):
        make("xstest", n=0)
