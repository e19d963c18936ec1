"""Past rollouts rescored by a reward that compares the samples of a prompt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lrmctl.recipe.schema.recipes import RewardSection
from lrmctl.rewards.compose import ComposedReward
from lrmctl.rewards.offline.rescore import differences, rescore
from lrmctl.rewards.offline.rollouts import read_rollouts


def rescored(folder: Path, rows: list[dict[str, Any]]) -> list[float | None]:
    (folder / "own.py").write_text("def score(group):\n    return [len(group) for _ in group]\n")
    fields = {
        "kind": "benign",
        "thinking": "I see.",
        "thinking_state": "closed",
        "finish_reason": "stop",
        "reward": 0.0,
    }
    lines = [json.dumps({**fields, "prompt_id": row["prompt"], "answer": "Yes.", **row}) for row in rows]
    (folder / "rollouts.jsonl").write_text("\n".join(lines) + "\n")
    reward = ComposedReward(RewardSection.model_validate({"components": [{"fn": f"{folder / 'own.py'}:score"}]}))
    done = rescore(reward, read_rollouts(folder / "rollouts.jsonl"))
    assert differences(done)[-1].n == len(rows)
    return [r.total for r in done.rewards]


def test_samples_are_compared_within_the_groups_of_their_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrmctl.rewards.offline.rescore.BATCH", 2)
    groups = [("p", "p#1", 1), ("q", "q#1", 1), ("p", "p#2", 1), ("p", "p#1", 1), ("p", "p#1", 1), ("p", "p#1", 2)]
    rows = [{"prompt": prompt, "group": group, "attempt": attempt} for prompt, group, attempt in groups]
    assert rescored(tmp_path, rows) == [3.0, 0.0, 0.0, 3.0, 3.0, 0.0]


def test_rows_without_a_group_are_compared_with_all_of_their_prompt(tmp_path: Path) -> None:
    assert rescored(tmp_path, [{"prompt": text} for text in "pqpp"]) == [3.0, 0.0, 3.0, 3.0]
