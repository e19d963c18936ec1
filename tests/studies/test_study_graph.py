"""The order of a study's stages, what a failure takes with it, and which GPUs a stage sees."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from study_stages import noted_stage, ran, tasks_of

from lrmctl._util.accelerators import visible_gpus
from lrmctl.recipe.load import load_recipe
from lrmctl.recipe.schema.evaluation import EvalSection
from lrmctl.studies import host_memory
from lrmctl.studies.executors import LocalExecutor
from lrmctl.studies.graph import run_graph
from lrmctl.studies.host_memory import HostMemory, planned_bytes
from lrmctl.studies.resources import GpuPool, TrainingUse, gpus_of_evaluation, use_of_training
from lrmctl.studies.stages import StudyEvent, StudyTask
from lrmctl.training.plan import plan_training

pytestmark = pytest.mark.e2e


def run(
    tasks: dict[str, StudyTask], *, jobs: int = 2, gpus: Sequence[str] = ()
) -> tuple[dict[str, str], list[StudyEvent]]:
    events: list[StudyEvent] = []
    return run_graph(tasks, LocalExecutor(noted_stage, jobs, gpus), events.append), events


CHAIN = ("{name: sft, recipe: lab/sft-mixed}", "{name: rl, recipe: lab/rl, from: sft}")


def test_a_follower_trains_from_its_start_when_that_is_trained(tmp_path: Path) -> None:
    failures, _ = run(tasks_of(tmp_path, *CHAIN))
    done = ran(tmp_path)
    order = [line["task"] for line in done]
    assert failures == {}
    assert order.index("train:sft") < order.index("train:rl")
    assert order.index("analyze:base") < order.index("analyze:rl")
    models = {line["task"]: line["model"] for line in done}
    assert models["train:rl"] == str(tmp_path / "sft" / "model")
    assert models["eval:rl"] == str(tmp_path / "rl" / "model")


def test_finished_stages_are_kept(tmp_path: Path) -> None:
    tasks = tasks_of(tmp_path, *CHAIN)
    run(tasks)
    before = len(ran(tmp_path))
    failures, events = run(tasks)
    assert (failures, len(ran(tmp_path))) == ({}, before)
    assert {event.state for event in events} == {"kept"}


def test_a_failed_start_makes_its_followers_holes_with_the_reason_and_nothing_else(tmp_path: Path) -> None:
    tasks = tasks_of(
        tmp_path, *CHAIN, "{name: rft, recipe: lab/rft, from: rl}", "{name: other, recipe: lab/sft-harmful}"
    )
    (tmp_path / "fail-train-sft").touch()
    failures, events = run(tasks)
    assert failures["sft"].startswith("no luck with train:sft")
    assert failures["rl"] == "not trained: its start, sft, failed: no luck with train:sft"
    assert failures["rft"].startswith("not trained: its start, rl, failed: not trained: its start, sft, failed")
    assert "other" not in failures
    assert {"eval:other", "analyze:other"} <= {line["task"] for line in ran(tmp_path)}
    skipped = {(event.arm, event.stage, event.text) for event in events if event.state == "skipped"}
    assert ("rl", "train", "its start, sft, failed") in skipped
    assert ("rl", "eval", "") in skipped


def test_an_evaluation_that_fails_does_not_stop_what_starts_from_the_model(tmp_path: Path) -> None:
    tasks = tasks_of(tmp_path, *CHAIN)
    (tmp_path / "fail-eval-sft").touch()
    failures, _ = run(tasks)
    assert list(failures) == ["sft"]
    assert {"train:rl", "analyze:rl"} <= {line["task"] for line in ran(tmp_path)}


def test_what_is_not_to_be_evaluated_is_only_trained(tmp_path: Path) -> None:
    tasks = tasks_of(tmp_path, "{name: a, stages: [lab/sft-mixed, lab/rl]}")
    assert [name for name in tasks if "stage-1" in name] == ["train:a.stage-1"]


def test_weights_that_are_not_kept_go_last(tmp_path: Path) -> None:
    tasks = tasks_of(
        tmp_path,
        "{name: a, stages: [{recipe: lab/sft-mixed, keep: false, evaluate: true}, lab/rl]}",
        "{name: b, stages: [lab/sft-mixed, lab/rft]}",
    )
    run(tasks)
    order = [line["task"] for line in ran(tmp_path)]
    removed = order.index("remove:a.stage-1")
    assert all(order.index(task) < removed for task in ("train:a", "train:b", "analyze:a.stage-1"))


def test_weights_are_kept_while_a_follower_has_failed(tmp_path: Path) -> None:
    tasks = tasks_of(tmp_path, "{name: a, stages: [{recipe: lab/sft-mixed, keep: false}, lab/rl]}")
    (tmp_path / "fail-train-a").touch()
    failures, _ = run(tasks)
    assert list(failures) == ["a"]
    assert "remove:a.stage-1" not in {line["task"] for line in ran(tmp_path)}


def test_several_bases_and_seeds_share_what_does_not_depend_on_the_seed(tmp_path: Path) -> None:
    tasks = tasks_of(
        tmp_path, *CHAIN, top="bases: [{name: x, model: 'lab:tiny'}, {name: y, model: 'lab:tiny'}]\nseeds: [0, 1]"
    )
    assert sum(task.stage == "train" for task in tasks.values()) == 8
    assert [name for name in tasks if name.startswith("eval:") and name.endswith("/base")] == [
        "eval:x/base",
        "eval:y/base",
    ]
    task = tasks["train:y/seed-1/rl"]
    assert task.loaded is not None
    assert task.loaded.recipe.seed == 1
    assert (task.study.seed, task.folder) == (0, tmp_path / "y/seed-1/rl")
    assert task.model == tmp_path / "y/seed-1/sft/model"
    assert task.base_folder == tmp_path / "y/base"
    assert tasks["train:x/seed-0/rl"].key != tasks["train:x/seed-1/rl"].key


def test_a_stage_of_a_chain_has_another_key_if_its_start_has(tmp_path: Path) -> None:
    one = tasks_of(tmp_path, *CHAIN)
    two = tasks_of(tmp_path, "{name: sft, recipe: lab/sft-mixed, set: {train.epochs: 1}}", CHAIN[1])
    assert one["train:rl"].key != two["train:rl"].key
    assert one["eval:rl"].key != two["eval:rl"].key
    assert one["eval:base"].key == two["eval:base"].key


def test_stages_never_share_a_gpu_and_jobs_stays_the_bound(tmp_path: Path) -> None:
    arms = [f"{{name: a{i}, recipe: lab/sft-mixed, evaluate: false, set: {{backend.device: auto}}}}" for i in range(4)]
    tasks = tasks_of(tmp_path, *arms, seconds=0.3)
    failures, _ = run(tasks, jobs=3, gpus=["4", "6"])
    done = ran(tmp_path)
    assert failures == {}
    assert {line["gpus"] for line in done} == {"4", "6"}
    for i, one in enumerate(done):
        for other in done[i + 1 :]:
            if one["gpus"] == other["gpus"]:
                assert one["ended"] <= other["began"] or other["ended"] <= one["began"]
    assert len({line["pid"] for line in done}) == len(done)  # a process keeps the GPUs that it first saw


def test_a_stage_gets_as_many_gpus_as_its_training_plan_says(tmp_path: Path) -> None:
    two = "{name: two, recipe: lab/sft-mixed, evaluate: false, set: {layout.gpus: 2, backend.device: auto}}"
    remote = "{name: far, recipe: lab/sft-mixed, evaluate: false, set: {launch.via: slurm}}"
    tasks = tasks_of(tmp_path, two, remote)
    assert (tasks["train:two"].gpus, tasks["train:far"].gpus, tasks["eval:base"].gpus) == (2, 0, 1)
    run(tasks, gpus=["0", "1", "2"])
    seen = {line["task"]: line["gpus"] for line in ran(tmp_path)}
    assert len(seen["train:two"].split(",")) == 2


def test_a_stage_that_asks_for_more_gpus_than_there_are_gets_all() -> None:
    pool = GpuPool(["0", "1"])
    assert pool.fits(8)
    assert pool.take("big", 8) == ("0", "1")
    assert not pool.fits(1)
    assert pool.fits(0)
    pool.give_back("big")
    assert pool.take("small", 1) == ("0",)


@pytest.mark.parametrize(
    ("count", "named", "found"),
    [(2, None, ("0", "1")), (2, "3,5", ("3", "5")), (1, "GPU-a", ("GPU-a",)), (0, "", ()), (0, "9", ())],
)
def test_the_gpus_are_those_that_this_process_sees(
    monkeypatch: pytest.MonkeyPatch, count: int, named: str | None, found: tuple[str, ...]
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if named is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert visible_gpus() == found


def test_a_training_on_cpu_sees_no_gpu() -> None:
    recipe = load_recipe("lab/rl", ["backend.device=cpu"]).recipe
    assert use_of_training(recipe) == TrainingUse(0, on_cpu=True, starts_cluster=True)


def test_a_training_that_is_launched_elsewhere_uses_none_of_this_machine_but_its_own_of_a_cluster() -> None:
    recipe = load_recipe("qwen3-8b/rl-guard", ["launch.via=slurm", "layout.nodes=2"]).recipe
    assert use_of_training(recipe).gpus == 0
    found = use_of_training(recipe, on_cluster=True)
    assert (found.nodes, found.starts_cluster) == (2, True)
    assert found.gpus >= 2


@pytest.mark.parametrize(
    ("engine", "gpus"),
    [
        ("hf", 1),
        ({"use": "hf", "workers": 4}, 4),
        ({"use": "hf", "workers": 4, "device": "cpu"}, 1),
        ({"use": "vllm", "tensor_parallel": 2}, 2),
    ],
)
def test_an_evaluation_takes_a_gpu_for_each_worker(engine: object, gpus: int) -> None:
    assert gpus_of_evaluation(EvalSection.model_validate({"safety": ["lab-harmful"], "engine": engine})) == gpus


def test_trainings_on_cpu_that_do_not_fit_side_by_side_run_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arms = ("{name: a, recipe: lab/sft-mixed}", "{name: b, recipe: lab/sft-harmful}")
    tasks = tasks_of(tmp_path, *arms, top="jobs: 2", seconds=0.3)
    monkeypatch.setattr(host_memory, "planned_bytes", lambda task: 6 * 1024**3 if task.stage == "train" else 0)
    events: list[StudyEvent] = []
    executor = LocalExecutor(noted_stage, 4, (), HostMemory(total=10 * 1024**3))
    assert run_graph(tasks, executor, events.append) == {}
    spans = {line["task"]: (line["began"], line["ended"]) for line in ran(tmp_path)}
    (first, second) = sorted((spans["train:a"], spans["train:b"]))
    assert first[1] <= second[0]
    assert spans["eval:base"][0] < first[1]  # what needs little memory does not wait
    (told,) = [event.text for event in events if event.text.startswith("waits")]
    assert told in {f"waits: it needs 6.0 GiB, {arm} 6.0, and this machine has 10.0" for arm in ("a", "b")}


def test_the_memory_of_a_training_is_that_of_its_plan_and_a_small_model_s_is_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = tasks_of(tmp_path, "{name: a, recipe: lab/sft-mixed}")["train:a"]
    assert planned_bytes(task) == 0
    monkeypatch.setattr(host_memory, "SMALL", 0)
    assert task.loaded is not None
    plan = plan_training(task.loaded, runs_dir=tmp_path, name="a", model=str(task.model), render=False)
    assert plan.summary.memory is not None
    assert planned_bytes(task) == plan.summary.memory.peak > 0
