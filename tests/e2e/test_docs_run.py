"""What README and docs show works: recipes are valid, Python runs, commands exist. A block in no class fails.

Names that a reader would replace are replaced by the small tables below; commands that are not run say why, and are
still held against the real command line.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from blocks import ROOT, Block, Command, blocks, commands
from recipe_schema import schema_errors

from lrmctl.preflight.validate import validate
from lrmctl.recipe.load import load_recipe
from lrmctl.recipe.yaml import parse, read

LANGUAGES = {"", "yaml", "python", "toml", "text"}

FRAGMENTS = {
    "evaluation": "kind: eval\nname: shown\nmodel: lab:tiny\n",
    "reward": "kind: rl\nname: shown\nmodel: lab:tiny\nprompts: [lab-prompts]\n",
    "prefill": "extends: lab/rl\nname: shown\n",
    "trackers": "extends: lab/rl\nname: shown\n",
    "backend": "extends: lab/rl\nname: shown\n",
    "prompts": "extends: lab/rl-mapper\nname: shown\n",
    "data": "kind: sft\nname: shown\nmodel: lab:tiny\n",
    "analysis": "extends: demo\n",
    "extends": "",
    "name": "extends: methods/rl-guard\n",
    "layout": "extends: r1-distill-qwen-1.5b/rl-guard\nname: shown\n",
}
"""By a fragment's first section: what makes it a recipe."""
ENTRIES = {
    "benchmark": "kind: eval\nname: shown\nmodel: lab:tiny\nevaluation:\n  judge: refusal-phrases\n  safety:\n",
    "reward": FRAGMENTS["reward"] + "reward:\n  components:\n",
}
"""By what the entries of a list are: the recipe that they are put into."""

NOT_LRMCTL = {
    "hf download": "needs the hub",
    "make ": "takes minutes; `make demo` and `make test` are what CI runs",
    "uvx ": "installs gigabytes from the package index",
    "docker ": "needs an image of minutes; CI builds and runs it",
    "podman ": "the same",
    "pip install": "installs into this environment",
    "inspect view": "serves until it is ended; tests/interop opens the logs with it",
    "RAY_OVERRIDE_RESOURCES=": "starts a Ray cluster; tests/backends/launch/test_launch_ray.py does",
    "ray stop": "ends one",
    "for ": "a shell's loop around commands that need a guard's weights",
    "done": "its end",
    "git ": "changes the repository",
    "cd lrmctl-reward-novelty": "docs/plugin-tutorial.md; tests/scaffold writes and installs the like",
    "cd ..": "its way back",
    "pytest": "runs the tests of that package; tests/scaffold does",
    ". .venv/bin/activate": "changes the shell",
    ".venv/bin/": "docs/releasing.md; tests/e2e/test_wheel.py builds the wheel",
    "python3.11 -m venv": "docs/releasing.md",
    "(cd /tmp && ": "uses the wheel that docs/releasing.md installs",
}
NOT_RUN = {
    r"--launch (ray|slurm)|RECIPE --launch": "needs a cluster",
    r"^lrmctl train rl-guard": "trains a model of the hub; tests/recipe composes the same",
    r"wildguard|qwen3guard|llama-guard|eval/safety|my-eval\.yaml|--model MODEL": "needs a model of the hub",
    r"^lrmctl data build [\w/-]+$": "draws a thousand samples; tests/builders builds with fewer",
    r"^lrmctl publish": "needs a trained run; tests/export/test_publish.py has one",
    r"^lrmctl view": "serves until it is ended; tests/cli/test_view.py does",
    r"^lrmctl reward serve": "serves until it is ended; tests/cli/test_reward_serve.py does",
    r"novelty": "needs the package that docs/plugin-tutorial.md writes; tests/scaffold has one of each kind",
    r"--follow": "goes on until the run ends",
    r"^lrmctl study": "trains every arm; tests/e2e does",
    r"--checkpoints all|@step-": "needs a run that kept its models; tests/api/test_evaluate_checkpoints.py has one",
    r"my-grid": "needs a study of several bases; tests/e2e/test_study_matrix_e2e.py has one",
    r"^lrmctl train seven-b\.yaml( --resume.*)?$": "trains a model of the hub; its plan is made here",
    r"--smoke": "tests/smoke tries every shipped recipe",
    r"^lrmctl train RECIPE$|^lrmctl train my\.yaml$": "trains in full; the same recipe is trained for two steps here",
    r"model import .*(gguf|owner/)": "needs a model of the hub; tests/models/importing imports the like of each",
    r"judge measure rbr-gold": "needs a data set of the hub",
    r"^lrmctl judge fit (?!to-fit)": "needs labelled rows; tests/judges/fitted has some",
    r"decoding=zero-think|@zero-think": "tests/engines/decoding/test_modes.py draws in every mode",
    r"benchmark show harmbench": "needs a data set of the hub",
    r"judge agree run:past": "needs a run that several judges judged; tests/judges/offline/test_agree.py has one",
    r"judge score rows\.jsonl": "needs a model of the hub",
    r"judge measure labelled": "tests/judges/offline/test_measure_words.py has such rows",
}
"""Commands that are only held against the command line: pattern -> why."""
NAMES = {"RECIPE": "lab/rl", "./mine.py:score": "./my_reward.py:score", "composed.yaml": "my.yaml"}
NAMES |= {"$label": "refused", "$judge": "wildguard"}


_SMALL = ("limit=2", "samples=1", "temperatures=[0.6]", "max_new_tokens=48")
FEW_ROWS = [word for text in _SMALL for word in ("--set", f"evaluation.{text}")]
"""An evaluation of seconds."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the files that the pages name."""
    monkeypatch.chdir(tmp_path)
    for key in ("GUARD_KEY", "LRM_KEY"):
        monkeypatch.setenv(key, "secret")
    (tmp_path / "mine.csv").write_text("forbidden_prompt,category\nhazard-1?,x\nhazard-2?,y\n")
    (tmp_path / "prompts.csv").write_text(_shown("docs/start.md", "text", "prompt,kind"))
    (tmp_path / "first.yaml").write_text(_shown("docs/start.md", "yaml", "name: first"))
    (tmp_path / "seven-b.yaml").write_text(_shown("docs/seven-b.md", "yaml", "name: my-rl"))
    exec(_python("docs/first-judge.md", "to-fit.jsonl"), {})  # writes its files
    row = {"question": "what?", "label": "safe", "document": "some text", "topic": "things"}
    rows = [json.dumps({**row, "question": f"what is {i}?", "key": f"k{i}"}) + "\n" for i in range(250)]
    (tmp_path / "mixed.jsonl").write_text("".join(rows))
    for name, shown in (("thinking", {"thinking": "A thought."}), ("answers", {})):
        told = [json.dumps({"prompt": f"{name} {i}?", "answer": "Blue.", "kind": "benign", **shown}) for i in range(9)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(told))
    (tmp_path / "my_reward.py").write_text(_python("docs/rewards.md", "def score("))
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "plugin.py").write_text(_python("README.md", "class Brevity"))
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("my_package", "my_package.plugin"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def _python(page: str, holding: str) -> str:
    return _shown(page, "python", holding)


def _shown(page: str, language: str, holding: str) -> str:
    (found,) = [b.text for b in blocks(language) if b.page == page and holding in b.text]
    return found


def test_every_block_is_of_a_class_that_is_tried() -> None:
    odd = [f"{block}: {block.language!r}" for block in blocks() if block.language not in LANGUAGES]
    assert odd == []


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_toml_is_toml(block: Block) -> None:
    assert tomllib.loads(block.text)


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_recipes_and_parts_of_recipes_are_valid(block: Block, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if block.page.startswith("plugins/"):
        _install(ROOT / Path(block.page).parent, folder, monkeypatch)
    (folder / "shown.yaml").write_text(_whole(block))
    validate(load_recipe("shown.yaml"))
    assert schema_errors(read(folder / "shown.yaml").data) == []


def _install(package: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package of a page in plugins/ as one that is installed, without those that it needs itself."""
    from lrmctl.hooks import registry

    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = project["entry-points"]["lrmctl"]
    (info / "entry_points.txt").write_text("\n".join(["[lrmctl]", *(f"{k} = {v}" for k, v in points.items())]))
    monkeypatch.syspath_prepend(str(package / "src"))
    monkeypatch.setattr(registry._default, "_third_party", None)


def _whole(block: Block) -> str:
    """The block itself if it is a recipe, else the recipe that it is a part of."""
    text = _known(block.text)
    data = parse(text, Path(str(block))).data
    if isinstance(data, list):
        return ENTRIES[_group(data[0])] + "".join(f"    {line}\n" for line in text.splitlines())
    if "kind" in data:
        return text
    first = next(iter(data))
    if first == "judge":
        entries = "".join(f"  {line}\n" for line in text.splitlines())
        return f"{FRAGMENTS['evaluation']}evaluation:\n  safety: [lab-harmful]\n{entries}"
    return FRAGMENTS[first] + text


def _known(text: str) -> str:
    """Without plugins that are not installed here."""
    from lrmctl.hooks import registry

    if text.startswith("trackers:") and "mlflow" not in {entry.name for entry in registry.names("tracker")}:
        text = "trackers: [wandb]"
    text = re.sub(r"^requires: .*\n", "", text, flags=re.MULTILINE).replace(
        "{use: novelty,", "{use: length, options: {low: 8},"
    )
    installed = {entry.name for entry in registry.names("reward")}
    return text if "brevity" in installed else text.replace("use: brevity", "use: length").replace("words:", "low:")


def _group(entry: dict[str, Any]) -> str:
    from lrmctl.hooks import registry

    (group,) = {e.group for e in registry.names() if e.name == entry["use"]} & set(ENTRIES)
    return group


def _command(line: str) -> list[str]:
    return [NAMES.get(word, word) for word in Command(Block("", 0, "", ""), line).words]


def _of_lrmctl() -> list[Command]:
    """Commands of lrmctl; what a variable is set for comes without it."""
    found = [c._replace(line=re.sub(r"^(\w+=\S+ )+(?=lrmctl)", "", c.line)) for c in commands()]
    return [c for c in found if c.line.startswith("lrmctl ")]


@pytest.mark.parametrize("command", [c for c in commands() if "lrmctl" not in c.line.split()[:2]], ids=str)
def test_what_is_no_command_of_lrmctl_is_known(command: Command) -> None:
    loop = "judge in" in command.line or command.line.startswith(("'", "lrmctl"))
    assert loop or any(command.line.startswith(start) for start in NOT_LRMCTL), command


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("command", _of_lrmctl(), ids=str)
def test_commands_are_taken_by_the_command_line(command: Command) -> None:
    import typer

    from lrmctl.cli.app import app

    words = _command(command.line)[1:]
    current: Any = typer.main.get_command(app)
    context = current.make_context("lrmctl", list(words), resilient_parsing=False)
    while hasattr(current, "resolve_command"):
        rest = [*getattr(context, "_protected_args", []), *context.args]
        name, current, rest = current.resolve_command(context, rest)
        context = current.make_context(name, rest, parent=context)


def why_not(command: Command) -> str:
    return next((why for pattern, why in NOT_RUN.items() if re.search(pattern, command.line)), "")


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """README's recipe, trained for two steps as README says, evaluated and analysed; and copies by the other names."""
    import os
    import shutil
    import subprocess

    folder = tmp_path_factory.mktemp("docs")
    (recipe,) = [b.text for b in blocks("yaml") if b.page == "README.md"]
    (folder / "my.yaml").write_text(recipe)
    few = ["algorithm.steps=2", "algorithm.prompts_per_step=4", "algorithm.samples_per_prompt=4"]
    sets = [word for text in few for word in ("--set", text)]
    env = {**os.environ, "HF_HUB_OFFLINE": "1"}
    for words in (
        ["train", "my.yaml", *sets],
        ["eval", "run:my-first-rl", *FEW_ROWS],
        ["eval", "lab:tiny", "--name", "base", *FEW_ROWS],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "lrmctl", *words], cwd=folder, env=env, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, done.stderr[-2000:]
    for name in ("my-rl", "my-run", "my-sft", "other", "past", "rl", "sft"):
        shutil.copytree(folder / "runs" / "my-first-rl", folder / "runs" / name)
    return folder


@pytest.mark.e2e
@pytest.mark.timeout(900)
def test_readmes_recipe_trains_and_its_commands_run(
    runs: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from lrmctl.__main__ import run

    (folder / "runs").symlink_to(runs / "runs")
    (folder / "my.yaml").write_text((runs / "my.yaml").read_text())
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    wrong = {}
    for command in _of_lrmctl():
        if why_not(command):
            continue
        words = _command(command.line)
        if words[1:3] == ["train", "my.yaml"] and "--dry-run" not in words:
            continue  # the fixture has trained it
        if words[1] == "eval":
            words += [
                w
                for t in ("limit=2", "samples=1", "temperatures=[0.6]", "max_new_tokens=48")
                for w in ("--set", f"evaluation.{t}")
            ]
        monkeypatch.setattr(sys, "argv", words)
        capsys.readouterr()
        code = run()
        if code not in (0, 1) or "bug in lrmctl" in (said := capsys.readouterr().err):
            wrong[str(command)] = (code, capsys.readouterr().err[-500:] or said[-500:])
    assert wrong == {}


@pytest.mark.e2e
@pytest.mark.timeout(900)
@pytest.mark.parametrize("block", [b for b in blocks("python") if b.page != "docs/python.md"], ids=str)
def test_python_runs(block: Block, runs: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lrmctl.__main__ import run

    (folder / "runs").symlink_to(runs / "runs")
    if block.page == "docs/interop.md":
        for form, out in (("lm-eval", []), ("hf", ["--out", "tables"])):
            if not (form == "lm-eval" and Path("runs/my-run/eval/export/lm-eval").exists()):
                monkeypatch.setattr(sys, "argv", ["lrmctl", "export", "run:my-run", "--to", form, *out])
                assert run() == 0
    space: dict[str, Any] = {"__name__": "shown"}
    exec(compile(block.text, str(block), "exec"), space)
    for name, value in list(space.items()):
        if name.startswith("test_"):
            value()
