"""What the plans of SFT and preference training share: steps as OpenRLHF counts them, and the environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lrmctl.backends.base import TrainJob
from lrmctl.backends.job_data import check_positions
from lrmctl.backends.openrlhf import common
from lrmctl.backends.openrlhf.flags.parser import Program
from lrmctl.backends.openrlhf.plans.common import EVAL_DATA, check_job, data_files
from lrmctl.backends.openrlhf.rules.batch_split import BatchSplit
from lrmctl.errors import RecipeError
from lrmctl.recipe.schema.recipes import OfflineRecipe
from lrmctl.types import Plan

DATA = "data/train.jsonl"
_ALL_ROWS = 10**9


def offline_plan(
    job: TrainJob,
    program: Program,
    target: common.ComputeTarget,
    flags: dict[str, Any],
    env: Mapping[str, str] | None = None,
) -> Plan:
    """The plan of a job that trains on fixed rows.

    Args:
        flags: those that follow from the recipe alone, and the program's own.
        env: further environment variables.

    Raises:
        RecipeError: if the recipe asks for something that OpenRLHF cannot do.
    """
    recipe = job.recipe
    assert isinstance(recipe, OfflineRecipe)
    layout = recipe.layout
    check_positions(job.described_by, recipe.data.max_len, "data.max_len")
    checked = check_job(job, target, {**_job_flags(job), **flags, **common.folder_flags(job)})
    split = BatchSplit.of(recipe, checked.parsed)
    steps = _steps(recipe, split, len(job.rows))
    return checked.plan(
        argv=common.program_argv(program, checked.flags, layout.gpus, layout.nodes),
        env={**_env(target, layout.gpus * layout.nodes), **(env or {})},
        files=data_files(job, DATA, job.rows),
        estimates={
            "steps": steps,
            "rows": len(job.rows),
            "sequences": steps * recipe.train.batch_size,
            "steps_per_epoch": steps / recipe.train.epochs,
            "backward_passes_per_step": _passes(recipe, split),
        },
    )


def _steps(recipe: OfflineRecipe, split: BatchSplit, rows: int) -> int:
    """Optimizer steps as OpenRLHF counts them: whole micro-batches per epoch, gradient accumulation across epochs."""
    micro, batch = recipe.optimizer.micro_batch_size, recipe.train.batch_size
    steps = (rows // split.parallel // micro) * recipe.train.epochs // _passes(recipe, split)
    if steps == 0:
        raise RecipeError(
            f"{rows} rows for {recipe.train.epochs} epochs are less than one step of {batch}",
            "train.batch_size",
            "use more data, more epochs or a smaller batch",
        )
    return steps


def _passes(recipe: OfflineRecipe, split: BatchSplit) -> int:
    return recipe.train.batch_size // recipe.optimizer.micro_batch_size // split.parallel


def _job_flags(job: TrainJob) -> dict[str, Any]:
    return {
        "model.model_name_or_path": str(job.model_path),
        "data.dataset": str(job.run_dir / DATA),
        "data.max_samples": _ALL_ROWS,  # the default would silently truncate a large data set
        "eval.dataset": str(job.run_dir / EVAL_DATA) if job.eval_rows else None,
    }


def _env(target: common.ComputeTarget, processes: int) -> dict[str, str]:
    env = common.environment(target)
    if processes == 1:  # what torchrun would set; port 0 lets the system choose a free one
        env |= {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    return env
