"""An SFT recipe as a plan for `openrlhf.cli.train_sft`.

Prompt and response arrive rendered: OpenRLHF's chat-template path loses the thinking of templates that strip it. So the
input template is `{}` (its default would add `User: ` and `Assistant: `) and no chat template is applied.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lrmctl.backends.base import TrainJob
from lrmctl.backends.openrlhf import common, rules
from lrmctl.backends.openrlhf.rules.batch_split import BatchSplit
from lrmctl.backends.openrlhf.rules.model import model_problems
from lrmctl.errors import RecipeError
from lrmctl.recipe.problems import raise_for
from lrmctl.recipe.schema.recipes import SftRecipe
from lrmctl.types import Plan

_DATA = "data/train.jsonl"
_EVAL_DATA = "data/eval.jsonl"
_ALL_ROWS = 10**9
OWNED: Mapping[str, str] = {
    "model.model_name_or_path": "say it in the recipe: model",
    "train.batch_size": "say it in the recipe: train.batch_size",
    "train.max_epochs": "say it in the recipe: train.epochs",
    "adam.lr": "say it in the recipe: optimizer.learning_rate",
    "adam.betas": "say it in the recipe: optimizer.betas",
    "adam.weight_decay": "say it in the recipe: optimizer.weight_decay",
    "lr_warmup_ratio": "say it in the recipe: optimizer.warmup_ratio",
    "lr_scheduler": "say it in the recipe: optimizer.schedule",
    "min_lr_ratio": "say it in the recipe: optimizer.min_lr_ratio",
    "max_norm": "say it in the recipe: optimizer.max_grad_norm",
    "model.gradient_checkpointing_enable": "say it in the recipe: optimizer.gradient_checkpointing",
    "ckpt.save_steps": "say it in the recipe: save_every",
    "eval.steps": "say it in the recipe: train.eval_every",
    "eval.dataset": "say it in the recipe: data.eval_rows",
    "data.dataset": "say it in the recipe: data.sources",
    "data.output_key": "lrmctl renders the data itself",
    "data.multiturn": "lrmctl renders the data itself",
    "data.tokenizer_chat_template": "lrmctl renders the data itself",
    "model.pretrain_mode_enable": "lrmctl renders the data itself",
}


def plan(job: TrainJob) -> Plan:
    """The plan of an SFT job.

    Raises:
        RecipeError: if the recipe asks for what OpenRLHF cannot do.
    """
    recipe = job.recipe
    assert isinstance(recipe, SftRecipe)
    where = common.target(recipe.backend, recipe.layout, job.here)
    common.check_positions(job.described_by, recipe.data.max_len, "data.max_len")
    flags, said = rules.judge(recipe, where, _flags(job, recipe, where), {**common.OWNED, **OWNED})
    read = rules.read(recipe, flags)
    raise_for([*said, *model_problems(recipe, job.described_by, read)])
    shares = BatchSplit.of(recipe, read)
    steps = _steps(recipe, shares, len(job.rows))
    return Plan(
        backend="openrlhf",
        kind="sft",
        argv=common.program_argv("train_sft", flags, recipe.layout.gpus, recipe.layout.nodes),
        env=_env(where, recipe.layout.gpus * recipe.layout.nodes),
        files=_files(job),
        resources=common.resources(recipe, where),
        estimates={
            "steps": steps,
            "rows": len(job.rows),
            "sequences": steps * recipe.train.batch_size,
            "device": where.device,
            "dtype": where.dtype,
            "steps_per_epoch": steps / recipe.train.epochs,
            "backward_passes_per_step": _passes(recipe, shares),
        },
        notes=(*(note.what for note in said), *common.notes(job, where)),
    )


def _steps(recipe: SftRecipe, shares: BatchSplit, rows: int) -> int:
    """Optimizer steps as OpenRLHF counts them: whole micro-batches per epoch, windows run on over epochs."""
    micro, batch = recipe.optimizer.micro_batch_size, recipe.train.batch_size
    steps = (rows // shares.parallel // micro) * recipe.train.epochs // _passes(recipe, shares)
    if steps == 0:
        raise RecipeError(
            f"{rows} rows for {recipe.train.epochs} epochs are less than one step of {batch}",
            "train.batch_size",
            "use more data, more epochs or a smaller batch",
        )
    return steps


def _passes(recipe: SftRecipe, shares: BatchSplit) -> int:
    return recipe.train.batch_size // recipe.optimizer.micro_batch_size // shares.parallel


def recipe_flags(recipe: SftRecipe, where: common.ComputeTarget) -> dict[str, Any]:
    """OpenRLHF's flags that follow from the recipe alone, on a device."""
    return {
        "data.input_key": "prompt",
        "data.output_key": "response",
        "data.input_template": "{}",
        "data.max_len": recipe.data.max_len,
        "train.max_epochs": recipe.train.epochs,
        "train.batch_size": recipe.train.batch_size,
        "train.seed": recipe.seed,
        **common.optimizer_flags(recipe.optimizer, where, ""),
        "model.gradient_checkpointing_enable": where.device == "cuda" and recipe.optimizer.gradient_checkpointing,
        "ckpt.save_steps": recipe.save_every,
        "eval.steps": recipe.train.eval_every if recipe.data.eval_rows else None,
    }


def _flags(job: TrainJob, recipe: SftRecipe, where: common.ComputeTarget) -> dict[str, Any]:
    return {
        "model.model_name_or_path": str(job.model_path),
        "data.dataset": str(job.run_dir / _DATA),
        "data.max_samples": _ALL_ROWS,  # its default would silently cut a large set
        "eval.dataset": str(job.run_dir / _EVAL_DATA) if job.eval_rows else None,
        **recipe_flags(recipe, where),
        **common.folder_flags(job),
    }


def _files(job: TrainJob) -> dict[str, str]:
    files = {_DATA: common.rows_file(job.rows)}
    return files | {_EVAL_DATA: common.rows_file(job.eval_rows)} if job.eval_rows else files


def _env(where: common.ComputeTarget, processes: int) -> dict[str, str]:
    env = common.environment(where)
    if processes == 1:  # what torchrun would set; port 0 lets the system choose a free one
        env |= {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    return env
