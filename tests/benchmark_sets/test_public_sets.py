"""Public sets read from their real files: every prompt is there, of the right kind, under an id that stays."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from lrmctl.benchmarks.factory import PublicSet
from lrmctl.data.catalog import CATALOG
from lrmctl.data.fetch import read_rows
from lrmctl.hooks import registry
from lrmctl.testing.checks import check_benchmark

PUBLIC = {e.name: e.factory for e in registry.names("benchmark") if isinstance(e.factory, PublicSet)}
FILES = [
    ("strongreject", {}, "harmful", 313, "strongreject"),
    ("advbench", {}, "harmful", 520, "advbench"),
    ("harmbench", {}, "harmful", 159, "harmbench-test"),
    ("harmbench", {"functional": "contextual"}, "harmful", 81, "harmbench-test"),
    ("harmbench", {"functional": "copyright"}, "harmful", 80, "harmbench-test"),
    ("harmbench", {"functional": "all"}, "harmful", 320, "harmbench-test"),
    ("harmbench", {"split": "val"}, "harmful", 41, "harmbench-val"),
    ("harmbench", {"split": "val", "functional": "contextual"}, "harmful", 19, "harmbench-val"),
    ("harmbench", {"split": "val", "functional": "copyright"}, "harmful", 20, "harmbench-val"),
    ("harmbench", {"split": "all"}, "harmful", 200, "harmbench-all"),
    ("harmbench", {"split": "all", "functional": "contextual"}, "harmful", 100, "harmbench-all"),
    ("harmbench", {"split": "all", "functional": "copyright"}, "harmful", 100, "harmbench-all"),
    ("harmbench", {"split": "all", "functional": "all"}, "harmful", 400, "harmbench-all"),
    ("xstest", {}, "benign", 250, "xstest"),
    ("xstest", {"split": "unsafe"}, "harmful", 200, "xstest"),
    ("jailbreakbench", {}, "harmful", 100, "jailbreakbench-harmful"),
]


@pytest.mark.usefixtures("real")
@pytest.mark.parametrize(("name", "options", "kind", "count", "data"), FILES)
def test_a_real_file_gives_every_published_prompt(name, options, kind, count, data):
    benchmark = registry.make("benchmark", name, **options)
    prompts = benchmark.load()
    assert (len(prompts), {p.kind for p in prompts}) == (count, {kind})
    check_benchmark(benchmark)
    told = benchmark.provenance()
    assert (told["rows"], told["prompts"], told["expected_prompts"]) == (CATALOG[data].rows, count, count)
    assert not CATALOG[data].sha256 or told["sha256"] == CATALOG[data].sha256 == told["sha256_published"]
    assert told["gated"] is False
    assert json.loads(json.dumps(told)) == told


@pytest.mark.usefixtures("real")
def test_xstest_as_a_whole_has_both_kinds_and_eighteen_types():
    prompts = registry.make("benchmark", "xstest", split="all").load()
    assert Counter(p.kind for p in prompts) == {"benign": 250, "harmful": 200}
    assert set(Counter(p.meta["type"] for p in prompts).values()) == {25}
    assert all(p.meta["type"].startswith("contrast") for p in prompts if p.kind == "harmful")


@pytest.mark.usefixtures("real")
def test_a_contextual_behaviour_is_asked_after_its_context():
    for prompt in registry.make("benchmark", "harmbench", functional="contextual").load():
        context, behaviour = prompt.meta["context"].strip(), prompt.meta["behavior"].strip()
        assert prompt.text.startswith(context)
        assert prompt.text.endswith(f"---\n\n{behaviour}")
    assert all("context" not in p.meta for p in registry.make("benchmark", "harmbench").load())


@pytest.mark.usefixtures("real")
def test_the_category_of_a_behaviour_is_in_its_meta():
    prompts = registry.make("benchmark", "harmbench", functional="all").load()
    assert Counter(p.meta["functional"] for p in prompts) == {"standard": 159, "contextual": 81, "copyright": 80}
    assert all(p.meta["category"] for p in prompts)


@pytest.mark.usefixtures("real")
def test_a_part_is_the_same_one_every_time_and_in_the_sets_own_order():
    whole = [p.id for p in registry.make("benchmark", "strongreject").load()]
    some = [p.id for p in registry.make("benchmark", "strongreject", n=60).load()]
    other = [p.id for p in registry.make("benchmark", "strongreject", n=60, seed=1).load()]
    assert some == [id for id in whole if id in some]
    assert some == [p.id for p in registry.make("benchmark", "strongreject", n=60).load()]
    assert len(set(some)) == len(set(other)) == 60
    assert set(some) != set(other)
    hashes = {registry.make("benchmark", "strongreject", n=n).provenance()["prompts_sha256"] for n in (None, 60, 61)}
    assert len(hashes) == 3


@pytest.mark.usefixtures("real")
def test_an_id_without_a_number_of_the_sets_own_does_not_depend_on_where_the_row_stands(tmp_path, real):
    rows = read_rows(real / "strongreject" / "strongreject_dataset.csv")
    turned = tmp_path / "turned.jsonl"
    turned.write_text("".join(json.dumps(row) + "\n" for row in reversed(rows)))
    ids = {p.text: p.id for p in registry.make("benchmark", "strongreject").load()}
    again = {p.text: p.id for p in registry.make("benchmark", "strongreject", path=str(turned)).load()}
    assert ids == again


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_making_a_benchmark_reads_nothing(name):
    for options, benchmark in PUBLIC[name].benchmarks():
        assert benchmark.selection.rows, options
        assert benchmark.kinds
        assert benchmark.license
        assert benchmark.url.startswith("https://")
        assert "is not on this machine" in benchmark.unavailable_reason()


@pytest.mark.usefixtures("data")
def test_the_parts_of_a_set_add_up_to_the_whole():
    def rows(name: str, **options: str) -> int:
        return int(registry.make("benchmark", name, **options).selection.rows)

    assert rows("wildguardtest", split="harmful") + rows("wildguardtest", split="benign") == 1699
    assert rows("wildguardtest", split="all", attacks="adversarial") == 796
    assert rows("wildjailbreak-eval", split="all") == CATALOG["wildjailbreak-eval"].rows == 2210
    assert rows("sorry-bench", style="all") == CATALOG["sorry-bench-202503"].rows
    assert rows("sorry-bench", version="202406", style="all") == CATALOG["sorry-bench-202406"].rows
    for split in ("val", "test", "all"):
        parts = [rows("harmbench", split=split, functional=f) for f in ("standard", "contextual", "copyright")]
        assert sum(parts) == rows("harmbench", split=split, functional="all") == CATALOG[f"harmbench-{split}"].rows


@pytest.mark.usefixtures("real")
def test_the_default_over_refusal_set_is_xstests_safe_prompts():
    from lrmctl.benchmarks import default_over_refusal
    from lrmctl.recipe.schema.evaluation import SafetySet

    chosen = SafetySet(**default_over_refusal())
    prompts = registry.make("benchmark", chosen.use, **chosen.options).load()
    assert (len(prompts), {p.kind for p in prompts}) == (250, {"benign"})
