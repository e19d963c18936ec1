"""Every shipped recipe's whole chain, small: shrink, train with OpenRLHF, checkpoint, evaluate, report."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from lrmctl.recipe.find import shipped
from lrmctl.recipe.load import load_recipe
from lrmctl.smoke.model import family_of
from lrmctl.smoke.shrink import shrink
from lrmctl.smoke.stand_ins import StandInJudge, StandInReward
from lrmctl.testing.checks import check_judge, check_reward, sample_traces

CHAINS = {
    "qwen3-4b/sft-star1-lora": "qwen3",  # SFT with adapters
    "r1-distill-qwen-1.5b/rl-guard": "qwen2",  # GRPO, guards as judges of two rewards
    "r1-distill-qwen-1.5b/dpo": "qwen2",  # pairs
    "qwen3-8b/rft": "qwen3",  # sampling, a reward, SFT
    "lab/eval": "",  # evaluation alone
    "lab/data/refuse": "",  # a data build
}
"""One recipe of each chain but that of GSPO, and the type of the model that it ends with."""
QUICK = ("lab/eval", "lab/data/refuse")
"""Those that are not slow; RL itself is trained by `test_train_e2e.py`."""
OTHERS = [name for name in shipped() if name not in CHAINS]

pytestmark = pytest.mark.e2e


def check(code: int, chains: list[dict[str, Any]], said: str) -> None:
    assert code == 0, said
    assert chains
    for chain in chains:
        assert chain["ok"]
        last = [s["name"] for s in chain["stages"]][-2:]
        assert last in (["evaluate", "report"], ["build", "load"])
        if last[-1] == "report":
            assert (Path(chain["folder"]) / "report.html").stat().st_size > 10_000
        assert all(s["seconds"] >= 0 and not s["error"] for s in chain["stages"])


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in CHAINS])
def test_a_recipe_of_each_chain_runs_from_end_to_end(smoke, name):
    code, chains, said = smoke(name)
    check(code, chains, said)
    (chain,) = chains
    if load_recipe(name).recipe.kind == "data":  # it makes no model
        return
    config = json.loads((Path(chain["folder"]) / "run" / "model" / "config.json").read_text())
    assert config["model_type"] == (CHAINS[name] or "llama")
    if name != "lab/eval":
        assert {s["name"] for s in chain["stages"]} >= {"train", "checkpoint"}
        kept_as_it_was(chain, load_recipe(name).resolved)


def kept_as_it_was(chain: dict[str, Any], recipe: dict[str, Any]) -> None:
    """Algorithm, rewards and flags of the run are the recipe's, but for what the output lists."""
    run = yaml.safe_load((Path(chain["folder"]) / "run" / "recipe.yaml").read_text())
    assert run["backend"]["flags"] == recipe["backend"]["flags"]
    assert run["optimizer"]["lora"] == recipe["optimizer"]["lora"]
    for key, value in (recipe.get("algorithm") or {}).items():
        assert run["algorithm"][key] == value or f"algorithm.{key}" in chain["changes"]
    words = ("use", "part", "weight", "when")
    rewards = [(one.get("reward") or {}).get("components", ()) for one in (run, recipe)]
    mine, theirs = ([[c[word] for word in words] for c in components] for components in rewards)
    assert mine == theirs


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_every_other_shipped_recipe_runs_from_end_to_end(smoke, name):
    check(*smoke(name))


@pytest.mark.skipif(not os.environ.get("LRMCTL_DATA_DIR"), reason="LRMCTL_DATA_DIR is not set")
def test_rows_of_a_real_set_are_used_where_they_are_at_hand(smoke):
    code, chains, said = smoke("qwen3-4b/sft-star1", LRMCTL_DATA_DIR=os.environ["LRMCTL_DATA_DIR"])
    check(code, chains, said)
    assert any(line.startswith("data: star-1 -> 8 of its") for line in chains[0]["replaced"])
    lock = json.loads((Path(chains[0]["folder"]) / "run" / "lock.json").read_text())
    assert lock["sources"][0]["rows"] == 8


RECIPE = """
kind: rl
name: mine
model: lab:tiny
prompts: [{use: lab-prompts, options: {n: 32}}]
reward:
  components:
    - {use: mine, options: {limit: %s}}
    - {use: judged-safe, options: {judge: llama-guard-3}, part: answer}
rollout: {max_new_tokens: 64}
max_len: 192
"""
PLUGIN = """
from lrmctl import Score, hookimpl

class Mine:
    def __init__(self, limit):
        self.limit = limit
    def score(self, traces, part):
        if self.limit < 0:
            raise ValueError("the limit is below zero")
        return [Score(min(1.0, len(t.thinking) / self.limit)) for t in traces]

@hookimpl
def lrmctl_rewards(register):
    register("mine", Mine)
"""


def plugin(site: Path) -> str:
    info = site / "mine-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lrmctl]\nmine = mine_plugin\n")
    (site / "mine_plugin.py").write_text(PLUGIN)
    return str(site)


@pytest.mark.slow
def test_a_users_own_reward_is_kept_and_its_failure_fails_the_run(smoke, tmp_path):
    site = plugin(tmp_path / "site")
    (tmp_path / "mine.yaml").write_text(RECIPE % -1)
    code, (chain,), said = smoke("mine.yaml", PYTHONPATH=site)
    assert (code, chain["ok"]) == (3, False)
    assert [(s["name"], bool(s["error"])) for s in chain["stages"]] == [("shrink", False), ("train", True)]
    assert "the limit is below zero" in chain["stages"][-1]["error"]
    assert "judge llama-guard-3 of judged-safe -> stand-in" in chain["replaced"]
    assert not any("mine" in line for line in chain["replaced"])
    assert "Traceback" not in said


@pytest.mark.slow
def test_a_function_in_a_file_is_a_reward_without_a_package(smoke, tmp_path):
    """With the other words of a composed reward: a gate, a clip, normalising by kind."""
    (tmp_path / "own.py").write_text("def calm(trace, *, word):\n    return word not in trace.thinking\n")
    own = {"fn": "./own.py:calm", "options": {"word": "hazard"}}
    gate = {"use": "format", "gate": "veto", "below": -0.5, "otherwise": -2, "clip": [-1, 0]}
    recipe = yaml.safe_load(RECIPE % 1) | {"name": "own"}
    recipe["reward"] = {"components": [own, gate], "clip": [-2, 1], "normalise": "kind"}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(recipe))
    code, chains, said = smoke("own.yaml")
    check(code, chains, said)
    folder = Path(chains[0]["folder"]) / "run"
    rows = [json.loads(line) for line in (folder / "rollouts.jsonl").read_text().splitlines()]
    assert rows
    for row in rows:
        assert list(row["components"]) == ["calm", "format"]
        assert row["total"] == sum(part["weighted"] for part in row["components"].values())
    lock = json.loads((folder / "lock.json").read_text())
    assert [Path(file).name for file in lock["functions"]] == ["own.py"]


def test_a_recipe_that_does_not_validate_is_a_user_error(smoke, tmp_path):
    (tmp_path / "mine.yaml").write_text(RECIPE % 1)  # its reward is not installed
    code, chains, said = smoke("mine.yaml")
    assert (code, chains) == (2, [])
    assert "no reward called 'mine'" in said


def test_a_local_models_own_architecture_and_tokenizer_are_kept(tmp_path):
    from lrmctl.lab import base_path

    loaded = load_recipe("lab/rl-kl").override({"model": str(base_path())})
    small = shrink(loaded, tmp_path / "out", tmp_path)
    config = json.loads((tmp_path / "out" / "tiny" / "config.json").read_text())
    own = json.loads((base_path() / "config.json").read_text())
    assert (config["model_type"], config["hidden_size"], config["num_hidden_layers"]) == ("llama", 64, 2)
    assert config["vocab_size"] == own["vocab_size"]
    assert "tokenizer: the model's own" in small.replaced
    assert small.loaded.recipe.algorithm.kl.coef == pytest.approx(0.01)
    assert small.changes["algorithm.steps"] == (80, 2)


@pytest.mark.parametrize(
    ("ref", "family"),
    [("Qwen/Qwen3-8B", "qwen3"), ("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", "qwen2"), ("me/my-llama-tune", "llama")],
)
def test_the_architecture_of_a_hub_model_is_known_by_its_id(ref, family):
    assert family_of(ref) == family


def test_the_stand_ins_keep_the_contracts_and_say_what_they_are():
    check_judge(StandInJudge())
    check_reward(StandInReward())
    assert "judges nothing" in StandInJudge.version
    said = {v.safe for v in StandInJudge().judge(sample_traces() * 3, "answer")}
    assert said == {True, False, None}
