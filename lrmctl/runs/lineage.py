"""Which trainings a run's model has behind it: the base, and every earlier run with its recipe and its model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lrmctl.runs.damage import DamagedError, read_object


def lineage_of(model: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The lineage of a run, for its lock file.

    Args:
        model: what the run starts from: `ref`, `path` and `fingerprint`, as its lock has them.
        seed: the run's training seed.

    Returns:
        `base` (`ref` and `fingerprint` of the model that the first training started from), `seed`, and `stages`: the
        earlier runs, the first one first, each with `run`, `recipe`, `recipe_sha256`, `seed`, and the `fingerprint`
        of its trained model. A run whose lock is gone or damaged counts as the base.
    """
    run = Path(str(model["path"])).parent
    lock = _lock(run) if Path(str(model["path"])).name == "model" else {}
    if not lock:
        return {"base": {"ref": model["ref"], "fingerprint": model["fingerprint"]}, "seed": seed, "stages": []}
    earlier = lock.get("lineage") or lineage_of(lock["model"], lock["recipe"].get("seed", 0))
    stage = {
        "run": run.name,
        "recipe": lock["recipe"].get("name", ""),
        "recipe_sha256": lock["recipe_sha256"],
        "seed": lock["recipe"].get("seed"),
        "fingerprint": model["fingerprint"],
    }
    return {"base": earlier["base"], "seed": seed, "stages": [*earlier["stages"], stage]}


def _lock(run: Path) -> dict[str, Any]:
    """A training run's lock; empty if it has none that tells its start."""
    try:
        lock = read_object(run / "lock.json")
    except DamagedError:
        return {}
    told = {"recipe", "recipe_sha256", "model"} <= lock.keys()
    return lock if told and {"ref", "path", "fingerprint"} <= lock["model"].keys() else {}
