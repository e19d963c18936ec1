"""A user's own prompts by one entry of a recipe: any column names, any usual format, or a copy of a hub's set."""

from __future__ import annotations

import json

import pytest

from lrmctl.errors import NotFoundError, RecipeError
from lrmctl.evaluation.benchmarks import set_name
from lrmctl.hooks import registry
from lrmctl.testing.checks import check_benchmark

ROWS = [
    {"key": "a", "forbidden_prompt": "hazard-1?", "safety": "unsafe", "topic": "one", "text": "A letter."},
    {"key": "b", "forbidden_prompt": "a garden?", "safety": "safe", "topic": "two", "text": ""},
]


def make(**options):
    return registry.make("benchmark", "prompts-file", **options)


@pytest.fixture(params=[".csv", ".tsv", ".jsonl", ".json", ".parquet"])
def file(request, tmp_path):
    path = tmp_path / f"mine{request.param}"
    if request.param in (".csv", ".tsv"):
        mark = "\t" if request.param == ".tsv" else ","
        path.write_text("\n".join(mark.join(cells) for cells in (ROWS[0].keys(), *(row.values() for row in ROWS))))
    elif request.param == ".parquet":
        from datasets import Dataset

        Dataset.from_list(ROWS).to_parquet(str(path))
    else:
        lines = "".join(json.dumps(row) + "\n" for row in ROWS)
        path.write_text(lines if request.param == ".jsonl" else json.dumps(ROWS))
    return path


def test_a_strongreject_style_file_needs_its_path_and_its_column(file):
    benchmark = make(path=str(file), prompt="forbidden_prompt")
    check_benchmark(benchmark)
    assert [(p.text, p.kind, p.source) for p in benchmark.load()] == [
        ("hazard-1?", "harmful", "mine"),
        ("a garden?", "harmful", "mine"),
    ]
    told = benchmark.provenance()
    assert (told["file"], told["rows"], told["license"]) == (str(file), 2, "not stated in the recipe")


def test_kinds_ids_context_and_meta_come_from_columns(file):
    benchmark = make(
        path=str(file),
        prompt="forbidden_prompt",
        kind="safety",
        labels={"unsafe": "harmful", "safe": "benign"},
        context="text",
        id="key",
        meta=["topic"],
        name="ours",
        license="CC0",
        url="https://example.org/ours",
        split="dev",
        rows=2,
    )
    check_benchmark(benchmark)
    assert (set_name(benchmark), benchmark.license, benchmark.url) == ("ours/dev", "CC0", "https://example.org/ours")
    assert [(p.id, p.text, p.kind, dict(p.meta)) for p in benchmark.load()] == [
        ("ours/a", "A letter.\n\nhazard-1?", "harmful", {"topic": "one"}),
        ("ours/b", "a garden?", "benign", {"topic": "two"}),
    ]


def test_a_text_file_holds_one_prompt_a_line(tmp_path):
    (tmp_path / "mine.txt").write_text("one\n\ntwo\n")
    assert [p.text for p in make(path=str(tmp_path / "mine.txt"), kind="benign").load()] == ["one", "two"]


def test_a_column_that_is_not_there_is_answered_with_one_that_is(file):
    for options in ({"prompt": "forbiden_prompt"}, {"prompt": "forbidden_prompt", "id": "keys"}):
        with pytest.raises(RecipeError, match="there is no column") as caught:
            make(path=str(file), **options).load()
        assert "did you mean" in caught.value.fix


def test_a_label_that_means_neither_kind_is_refused(file):
    with pytest.raises(RecipeError, match="safety is 'unsafe', neither harmful nor benign") as caught:
        make(path=str(file), prompt="forbidden_prompt", kind="safety").load()
    assert "labels: {unsafe: harmful}" in caught.value.fix
    with pytest.raises(RecipeError, match="not 'bad'"):
        make(path=str(file), kind="safety", labels={"unsafe": "bad"})


def test_the_number_of_prompts_can_be_promised(file):
    with pytest.raises(RecipeError, match="it has 2 rows, not 3"):
        make(path=str(file), prompt="forbidden_prompt", rows=3).load()


def test_a_file_that_is_not_there_is_one_clear_error(tmp_path):
    benchmark = make(path=str(tmp_path / "none.csv"))  # making it reads nothing
    with pytest.raises(NotFoundError, match="there is no file"):
        benchmark.load()


def test_a_recipe_names_a_file_in_one_entry(tmp_path, file):
    from lrmctl.evaluation.benchmarks import open_sets
    from lrmctl.recipe.load import load_recipe

    (tmp_path / "own.yaml").write_text(
        "kind: eval\nname: own\nmodel: lab:tiny\nevaluation:\n  judge: lab\n  safety:\n"
        f"    - {{use: prompts-file, options: {{path: {file}, prompt: forbidden_prompt, kind: safety,"
        " labels: {unsafe: harmful, safe: benign}, name: ours}}\n"
    )
    (opened,) = open_sets(load_recipe(str(tmp_path / "own.yaml")).recipe.evaluation)
    assert (opened.name, len(opened.prompts)) == ("ours", 2)
    assert opened.source["sha256"]


def test_a_copy_of_a_hub_repository_is_read_as_the_hub_would_be(tmp_path):
    """With the configurations and splits that its card names, by the library that loads the hub's own."""
    repo = tmp_path / "JBB-Behaviors"
    (repo / "data").mkdir(parents=True)
    for split in ("harmful", "benign"):
        rows = [f'{i},"{split} goal {i}",Sure,b,c,s' for i in range(100)]
        (repo / "data" / f"{split}-behaviors.csv").write_text(
            "\n".join(["Index,Goal,Target,Behavior,Category,Source", *rows]) + "\n"
        )
    files = "".join(f"    - {{split: {split}, path: data/{split}-behaviors.csv}}\n" for split in ("harmful", "benign"))
    (repo / "README.md").write_text(f"---\nconfigs:\n- config_name: behaviors\n  data_files:\n{files}---\n")

    for split in ("harmful", "benign"):
        benchmark = registry.make("benchmark", "jailbreakbench", split=split, path=str(repo))
        check_benchmark(benchmark)
        prompts = benchmark.load()
        assert (len(prompts), prompts[7].text, prompts[7].kind) == (100, f"{split} goal 7", split)
        assert prompts[7].id == f"jailbreakbench/{split}/7"
        told = benchmark.provenance()
        assert (told["folder"], told["rows"], told["sha256_of"]) == (str(repo), 100, "rows")

    own = registry.make(
        "benchmark", "prompts-hub", repo=str(repo), config="behaviors", hub_split="benign", prompt="Goal", kind="benign"
    )
    assert (own.name, len(own.load()), own.load()[0].text) == ("jbb-behaviors", 100, "benign goal 0")


def test_a_folder_without_the_configuration_is_one_clear_error(tmp_path):
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "x.csv").write_text("goal\nhazard\n")
    with pytest.raises(NotFoundError, match="'jailbreakbench-harmful' cannot be read") as caught:
        registry.make("benchmark", "jailbreakbench", path=str(tmp_path / "copy")).load()
    assert "README.md" in caught.value.fix


@pytest.mark.usefixtures("data")
def test_a_hub_set_that_cannot_be_had_is_one_clear_error():
    with pytest.raises(NotFoundError, match="'nobody/nothing' cannot be had"):
        registry.make("benchmark", "prompts-hub", repo="nobody/nothing").load()
