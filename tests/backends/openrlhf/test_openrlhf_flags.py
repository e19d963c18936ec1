"""OpenRLHF's command line, installed or not, and what a recipe may give it."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import lrmctl
from lrmctl.backends.openrlhf.flags import parser
from lrmctl.backends.openrlhf.flags.renames import dropped, new_name, old_names
from lrmctl.backends.openrlhf.flags.reserved import RESERVED
from lrmctl.backends.openrlhf.flags.user_flags import flag_problems
from lrmctl.errors import NotFoundError, RecipeError
from lrmctl.recipe.find import shipped
from lrmctl.recipe.load import load_recipe

NEWEST = "0.11.2"
RL: parser.Program = "train_ppo_ray"
SFT: parser.Program = "train_sft"
DPO: parser.Program = "train_dpo"
WORDS = {RL: RESERVED["rl"], SFT: RESERVED["sft"], DPO: RESERVED["preference"]}

needs_openrlhf = pytest.mark.skipif(parser.installed() is None, reason="OpenRLHF is not installed")


@needs_openrlhf
@pytest.mark.parametrize("program", parser.PROGRAMS)
def test_the_snapshot_of_the_installed_release_is_its_parser(program: parser.Program) -> None:
    version = metadata.version("openrlhf")
    if version not in parser.known_versions():
        pytest.skip(f"no snapshot of {version}")
    assert parser.options_of(parser.parser(program)) == parser.snapshot(version)[program]


def test_every_release_from_the_renaming_on_has_a_snapshot() -> None:
    assert parser.known_versions() == ["0.10.2", "0.10.3", "0.10.4", "0.11.0", "0.11.1", NEWEST]
    assert len(parser.known(RL, NEWEST)) > 160
    assert "ckpt.save_hf" in parser.known(SFT, "0.10.2")
    with pytest.raises(NotFoundError, match=r"no snapshot of OpenRLHF 9\.9"):
        parser.parser(RL, "9.9")


def test_a_snapshot_is_of_its_own_release() -> None:
    assert "algo.advantage.is_correction_type" in parser.known(RL, "0.10.2")
    assert "algo.advantage.is_correction_level" not in parser.known(RL, "0.10.2")
    assert "algo.advantage.is_correction_level" in parser.known(RL, NEWEST)


LINES = [
    "",
    "--ds.zero_stage 3",
    "--ds.zero_stage three",
    "--ds.zero_stage",
    "--ds.zero_stage 3 4",
    "--actor.adam.betas 0.9 0.99",
    "--actor.adam.betas 0.9",
    "--actor.optim muon",
    "--actor.optim sgd",
    "--train.colocate_all",
    "--train.colocate_all yes",
    "--train.colocate",
    "--ds.lora.target_modules q_proj k_proj",
    "--ds.lora.target_modules",
    "--algo.advantage.is_correction_threshold 2.0",
    "--algo.advantage.is_correction_threshold",
    "--actor.muon.no_nesterov",
    "--ckpt.max_mem inf",
    "--reward.stop_properly_penalty_coef -0.5",
    "--rollout.batch_size 16 --rollout.batch_size 8",
    "--rollout.batch_size=16",
    "loose",
    "--train.max_epochs 2 --nothing 1",
    "-x 1",
]


@needs_openrlhf
@pytest.mark.parametrize("line", LINES)
def test_the_snapshot_takes_and_refuses_what_the_real_parser_does(line: str) -> None:
    version = metadata.version("openrlhf")
    assert _answer(line, None) == _answer(line, version if version in parser.known_versions() else NEWEST)


def _answer(line: str, version: str | None) -> Any:
    try:
        read = parser.parse(RL, line.split(), version)
    except parser.FlagsRefused as error:
        return str(error)
    return {key: list(value) if isinstance(value, tuple) else value for key, value in read.items()}


@needs_openrlhf
def test_the_lines_are_told_apart() -> None:
    taken = [line for line in LINES if isinstance(_answer(line, None), dict)]
    assert "--train.colocate" not in taken  # argparse would take it as an abbreviation
    assert 8 < len(taken) < len(LINES) - 8


@pytest.mark.parametrize("program", parser.PROGRAMS)
def test_every_old_name_leads_to_a_flag_that_exists(program: parser.Program) -> None:
    known = set(parser.known(program, NEWEST))
    assert set(old_names(program).values()) <= known
    assert not (set(old_names(program)) | set(dropped(program))) & known
    assert len(old_names(program)) > 50


@pytest.mark.parametrize(
    ("program", "old", "new", "fix"),
    [
        (RL, "zero_stage", "ds.zero_stage", "say it in the recipe: optimizer.zero_stage"),
        (RL, "--advantage_estimator", "algo.advantage.estimator", "say it in the recipe: algorithm.name"),
        (RL, "micro_train_batch_size", "train.micro_batch_size", "say it in the recipe: optimizer.micro_batch_size"),
        (RL, "init_kl_coef", "algo.kl.init_coef", "say it in the recipe: algorithm.kl.coef"),
        (RL, "n_samples_per_prompt", "rollout.n_samples_per_prompt", "algorithm.samples_per_prompt"),
        (RL, "use_kl_loss", "algo.kl.use_loss", "algorithm.kl.place"),
        (RL, "eps_clip_low_high", "actor.eps_clip_low_high", "algorithm.clip_low and clip_high"),
        (RL, "vllm_num_engines", "vllm.num_engines", "layout.rollout_gpus"),
        (RL, "enable_vllm_is_correction", "algo.advantage.is_correction_level", "algorithm.importance.level"),
        (RL, "algo.advantage.is_correction_type", "algo.advantage.is_correction_mode", "algorithm.importance.mode"),
        (RL, "grad_accum_dtype", "ds.grad_accum_dtype", "write 'ds.grad_accum_dtype'"),
        (SFT, "learning_rate", "adam.lr", "say it in the recipe: optimizer.learning_rate"),
        (DPO, "beta", "model.beta", "say it in the recipe: preference.beta"),
        (DPO, "ref_pretrain", "ref.model_name_or_path", "the reference is the model that the run starts from"),
        (SFT, "pretrain", "model.model_name_or_path", "say it in the recipe: model"),
    ],
)
def test_a_renamed_flag_is_refused_with_the_new_name(program: parser.Program, old: str, new: str, fix: str) -> None:
    (problem,) = flag_problems(program, {old: 1}, WORDS[program])
    assert problem.key == f"backend.flags.{old}"
    assert f"is called {new!r} now" in problem.what
    assert fix in problem.fix


def test_names_are_found_whatever_dots_and_underscores_they_have() -> None:
    assert new_name(RL, "actor_num_nodes") == "actor.num_nodes"
    assert new_name(RL, "vllm-tensor-parallel-size") == "vllm.tensor_parallel_size"
    assert new_name(SFT, "actor_num_nodes") is None


@pytest.mark.parametrize(
    ("flag", "value", "what", "fix"),
    [
        ("train.num_ep", 3, "not a whole flag", "train.num_episodes"),
        ("actor.adam.epsilon", 1, "has no flag", "did you mean 'actor.adam.eps'?"),
        ("ptx_coef", 0.1, "any more", "pretraining loss"),
        ("--actor.adam.eps", 1e-8, "written with dashes", "write 'actor.adam.eps'"),
        ("actor.adam.eps", "many", "invalid float value", "it takes one number"),
        ("actor.optim", "sgd", "does not take this value: invalid choice", "it takes one of adam, muon"),
        ("eval.split", {"a": 1}, "a flag's value is", ""),
        ("eval.split", "--train.seed=3", "a flag's value is", ""),
        ("eval.split", [None], "a flag's value is", ""),
        ("actor.adam.eps", True, "expected one argument", "it takes one number"),
        ("ds.deepcompile", "yes", "unrecognized arguments", "true or false"),
        ("critic.adam.betas", [0.9], "expected 2 arguments", "a list of 2 numbers"),
        ("ds.lora.target_modules", ["q_proj"], "not free", "optimizer.lora.targets"),
    ],
)
def test_a_flag_that_openrlhf_does_not_take_is_refused(flag: str, value: Any, what: str, fix: str) -> None:
    (problem,) = flag_problems(RL, {flag: value}, WORDS[RL])
    assert what in problem.what
    assert fix in problem.fix


def test_flags_that_openrlhf_takes_are_not_refused() -> None:
    given = {"actor.adam.eps": 1e-6, "ds.deepcompile": True, "ds.use_liger_kernel": False, "critic.optim": "muon"}
    assert flag_problems(RL, given, WORDS[RL]) == []


def test_all_wrong_flags_are_told_at_once_each_with_its_line(tmp_path: Path) -> None:
    from lrmctl.preflight.validate import validate

    file = tmp_path / "r.yaml"
    file.write_text(
        "extends: lab/rl\nbackend:\n  flags:\n    zero_stage: 3\n    actor.optim: sgd\n    train.num_ep: 1\n"
    )
    with pytest.raises(RecipeError) as caught:
        validate(load_recipe(file))
    told = str(caught.value)
    assert "3 problems" in told
    assert f"{file}:4: backend.flags.zero_stage: OpenRLHF's flag 'zero_stage' is called 'ds.zero_stage' now" in told
    assert f"{file}:5: backend.flags.actor.optim:" in told
    assert f"{file}:6: backend.flags.train.num_ep:" in told


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment of a Python that has everything installed here except OpenRLHF."""
    site = tmp_path_factory.mktemp("site-packages")
    for installed in Path(sysconfig.get_path("purelib")).iterdir():
        if not installed.name.lower().startswith("openrlhf"):
            (site / installed.name).symlink_to(installed)
    root = Path(lrmctl.__file__).parent.parent
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(site)])}


def on_laptop(laptop: dict[str, str], *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Without `site` the interpreter sees no site-packages but the ones that it is given."""
    return subprocess.run([sys.executable, "-S", *words], env=laptop, cwd=cwd, capture_output=True, text=True)


@pytest.mark.e2e
def test_a_laptop_without_openrlhf_validates_and_refuses(laptop: dict[str, str], tmp_path: Path) -> None:
    gone = on_laptop(laptop, "-c", "import openrlhf", cwd=tmp_path)
    assert "No module named 'openrlhf'" in gone.stderr
    fine = on_laptop(laptop, "-m", "lrmctl", "recipe", "validate", "lab/rl", cwd=tmp_path)
    assert fine.returncode == 0, fine.stderr
    assert f"OpenRLHF is not installed here: flags are checked against the parser of {NEWEST}" in fine.stderr
    wrong = ["lab/rl", "--set", "backend.flags={init_kl_coef: 0.1}", "--set", "algorithm.samples_per_prompt=1"]
    refused = on_laptop(laptop, "-m", "lrmctl", "recipe", "validate", *wrong, cwd=tmp_path)
    assert refused.returncode == 2
    assert "say it in the recipe: algorithm.kl.coef" in refused.stderr
    assert "algorithm.samples_per_prompt: grpo compares the samples of one prompt" in refused.stderr


@pytest.mark.e2e
def test_a_laptop_without_openrlhf_does_not_start_a_run(laptop: dict[str, str], tmp_path: Path) -> None:
    done = on_laptop(laptop, "-m", "lrmctl", "train", "lab/sft-mixed", cwd=tmp_path)
    assert done.returncode == 2
    assert "OpenRLHF is not installed" in done.stderr
    assert "pip install" in done.stderr
    assert list(tmp_path.iterdir()) == []


@needs_openrlhf
def test_an_unknown_release_is_told_and_its_own_parser_used(laptop: dict[str, str], tmp_path: Path) -> None:
    here = parser.folder()
    assert here is not None
    package = tmp_path / "openrlhf"
    (package / "cli").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    for program in parser.PROGRAMS:
        text = (here / "cli" / f"{program}.py").read_text()
        (package / "cli" / f"{program}.py").write_text(text.replace("--ds.zpg", "--ds.zpq"))
    info = tmp_path / "openrlhf-9.9.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: openrlhf\nVersion: 9.9.0\n")
    newer = {**laptop, "PYTHONPATH": os.pathsep.join([str(tmp_path), laptop["PYTHONPATH"]])}
    words = ["-m", "lrmctl", "recipe", "validate", "lab/rl", "--set"]
    fine = on_laptop(newer, *words, "backend.flags={ds.zpq: 2}", cwd=tmp_path)
    assert fine.returncode == 0, fine.stderr
    assert "OpenRLHF 9.9.0 is installed; lrmctl knows 0.10.2 to 0.11.2" in fine.stderr
    assert on_laptop(newer, *words, "backend.flags={ds.zpg: 2}", cwd=tmp_path).returncode == 2


def test_no_shipped_recipe_needs_a_flag_that_has_another_name() -> None:
    for name in shipped():
        recipe = load_recipe(name).recipe
        if recipe.kind in ("sft", "rl"):
            program = RL if recipe.kind == "rl" else SFT
            assert flag_problems(program, recipe.backend.flags, WORDS[program]) == []  # type: ignore[union-attr]
