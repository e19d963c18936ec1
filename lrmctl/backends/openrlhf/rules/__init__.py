"""Combinations that OpenRLHF does not support, reported by recipe key before anything starts.

OpenRLHF checks one flag at a time; constraints between flags are in asserts that fail minutes into a job, in prints
that change the configuration, or nowhere. Rules look at the recipe, the device and the flags; never at a model, data or
a machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lrmctl.backends.openrlhf.common import ComputeTarget
from lrmctl.backends.openrlhf.flags import parser as cli
from lrmctl.backends.openrlhf.flags.reserved import RESERVED
from lrmctl.backends.openrlhf.flags.user_flags import flag_problems
from lrmctl.backends.openrlhf.rules.batch_split import BatchSplit
from lrmctl.backends.openrlhf.rules.notes import offline_notes, rl_notes, shared_notes
from lrmctl.backends.openrlhf.rules.rl import rl_problems
from lrmctl.recipe.problems import Problem
from lrmctl.recipe.schema.recipes import OfflineRecipe, RlRecipe
from lrmctl.recipe.schema.sections import Layout

__all__ = ["check_flags", "notes", "parsed_flags", "problems"]

_ONE_FILE = "OpenRLHF sees one file of rows, which lrmctl writes"
_LAYOUT = Layout()


def check_flags(
    recipe: OfflineRecipe | RlRecipe, target: ComputeTarget, planned: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Problem]]:
    """The planned flags with the recipe's `backend.flags` on top, and all problems and notes of both."""
    wrong = flag_problems(_program(recipe), recipe.backend.flags, RESERVED[recipe.kind])
    refused = {p.key.removeprefix("backend.flags.") for p in wrong}
    taken = {name: value for name, value in recipe.backend.flags.items() if name not in refused}
    replaced = [
        Problem(f"backend.flags.{name}", f"backend.flags.{name} is {value!r} in place of {planned[name]!r}", note=True)
        for name, value in taken.items()
        if name in planned and planned[name] != value
    ]
    merged = {**planned, **taken}
    return merged, [*wrong, *problems(recipe, target, merged), *replaced, *notes(recipe, target, merged)]


def problems(recipe: OfflineRecipe | RlRecipe, target: ComputeTarget, flags: Mapping[str, Any]) -> list[Problem]:
    """Problems of a recipe on a device; empty if there are none.

    Args:
        flags: OpenRLHF's flags of the plan, including the recipe's `backend.flags`. Its parser accepts each of them.
    """
    parsed = parsed_flags(recipe, flags)
    own = rl_problems(recipe, target, parsed) if isinstance(recipe, RlRecipe) else _offline(recipe)
    return [*_devices(recipe, target), *_shared(recipe, target, parsed), *own, *_given(recipe, target, parsed)]


def notes(recipe: OfflineRecipe | RlRecipe, target: ComputeTarget, flags: Mapping[str, Any]) -> list[Problem]:
    """Notes on what is allowed but worth knowing."""
    parsed = parsed_flags(recipe, flags)
    own = rl_notes(recipe, parsed) if isinstance(recipe, RlRecipe) else offline_notes(recipe, target)
    return [*shared_notes(recipe, parsed), *own]


def parsed_flags(recipe: OfflineRecipe | RlRecipe, flags: Mapping[str, Any]) -> dict[str, Any]:
    """The flags as OpenRLHF parses them: typed, with its own defaults."""
    return cli.parse(_program(recipe), cli.to_argv(flags))


def _program(recipe: OfflineRecipe | RlRecipe) -> cli.Program:
    programs: dict[str, cli.Program] = {"sft": "train_sft", "preference": "train_dpo", "rl": "train_ppo_ray"}
    return programs[recipe.kind]


def _devices(recipe: OfflineRecipe | RlRecipe, target: ComputeTarget) -> Iterator[Problem]:
    nodes, via = recipe.layout.nodes, recipe.launch.via
    if nodes > 1 and via == "local":
        yield Problem("layout.nodes", f"{nodes} nodes are not one machine", "--launch slurm, or --launch ray")
    if nodes > 1 and via == "ray" and recipe.kind != "rl":
        yield Problem("layout.nodes", f"a Ray job of {recipe.kind} has one node", "--launch slurm")
    if target.dtype == "fp16" and recipe.kind == "rl":
        yield Problem(
            "backend.dtype",
            "RL in fp16 ends at the first update: OpenRLHF's vLLM holds its weights in bf16",
            "say `dtype: bf16`",
        )


def _shared(recipe: OfflineRecipe | RlRecipe, target: ComputeTarget, read: Mapping[str, Any]) -> Iterator[Problem]:
    yield from _packing(recipe, target)
    if target.device == "cuda" or recipe.optimizer.sequence_parallel == 1:
        yield from _batches(recipe, read)
    if recipe.optimizer.offload and recipe.optimizer.zero_stage == 0:
        yield Problem("optimizer.offload", "without ZeRO there is nothing to offload", "say `zero_stage: 1`, 2 or 3")


def _packing(recipe: OfflineRecipe | RlRecipe, target: ComputeTarget) -> Iterator[Problem]:
    """Ring attention and dynamic batches need packed sequences, and packing needs flash attention."""
    optimizer = recipe.optimizer
    wants = {
        "optimizer.sequence_parallel": ("ring attention", optimizer.sequence_parallel > 1),
        "optimizer.dynamic_batch_tokens": ("batching by tokens", optimizer.dynamic_batch_tokens is not None),
    }
    for key, (what, wanted) in wants.items():
        if wanted and target.device == "cpu":
            yield Problem(key, f"{what} needs packing, and packing needs flash attention, which is CUDA's")
        elif wanted and not optimizer.packing:
            yield Problem(key, f"{what} needs packed sequences", "say `optimizer.packing: true`")


def _batches(recipe: OfflineRecipe | RlRecipe, read: Mapping[str, Any]) -> Iterator[Problem]:
    """A step must divide evenly over processes and micro-batches: a remainder hangs or ends a distributed run."""
    split = BatchSplit.of(recipe, read)
    if split.processes % split.together:
        yield Problem(
            "optimizer.sequence_parallel",
            f"{split.processes} GPUs cannot be cut into groups of {split.together} that share a sequence",
            "it must divide layout.nodes x layout.gpus",
        )
        return
    micro, batch = recipe.optimizer.micro_batch_size, split.batch
    if isinstance(recipe, RlRecipe) and recipe.optimizer.dynamic_batch_tokens is not None:
        yield from _split_of_tokens(recipe, read, split)
    elif batch % (micro * split.parallel):
        what, rule = _BATCH[recipe.kind]
        yield Problem(
            "optimizer.micro_batch_size",
            f"{batch} {what} cannot be cut into micro-batches of {micro} on {split.parallel} device(s)",
            f"{rule} must be a multiple of micro_batch_size x devices",
        )


def _split_of_tokens(recipe: RlRecipe, read: Mapping[str, Any], split: BatchSplit) -> Iterator[Problem]:
    if split.batch % split.parallel:
        yield Problem(
            "layout.gpus",
            f"{split.batch} samples an update cannot be shared evenly by {split.parallel} processes",
            "prompts_per_step x samples_per_prompt / updates_per_step must be a multiple of them",
        )
    step = recipe.algorithm.prompts_per_step * recipe.algorithm.samples_per_prompt
    if step // read["rollout.micro_batch_size"] < split.parallel:  # checked although the size is not used
        yield Problem(
            "optimizer.micro_batch_size",
            f"{step} samples in micro-batches of {read['rollout.micro_batch_size']} are less than one for each of "
            f"{split.parallel} processes",
            "lower it",
        )


_BATCH = {
    "rl": ("samples an update", "prompts_per_step x samples_per_prompt / updates_per_step"),
    "sft": ("sequences a step", "train.batch_size"),
    "preference": ("pairs a step", "train.batch_size"),
}


def _offline(recipe: OfflineRecipe) -> Iterator[Problem]:
    data, layout = recipe.data, recipe.layout
    if recipe.optimizer.dynamic_batch_tokens is not None:
        yield Problem(
            "optimizer.dynamic_batch_tokens",
            f"OpenRLHF's {recipe.kind} training has no batching by tokens",
            "leave it out",
        )
    for word in ("placement", "rollout_gpus", "reference_gpus", "critic_gpus", "tensor_parallel"):
        if getattr(layout, word) != getattr(_LAYOUT, word):
            yield Problem(f"layout.{word}", "this is about RL's roles", "leave it out")
    if recipe.train.eval_every is not None and not data.eval_rows:
        yield Problem("train.eval_every", "no rows are held back to look at", "say `data.eval_rows: 0.05`")


def _given(recipe: OfflineRecipe | RlRecipe, target: ComputeTarget, read: Mapping[str, Any]) -> Iterator[Problem]:
    """Rules about options that only `backend.flags` can set."""
    for flag in recipe.backend.flags:
        if reason := _NOT_HERE.get(flag):
            yield Problem(f"backend.flags.{flag}", *reason)
        elif target.device == "cpu" and read.get(flag) and (needs := _CUDA.get(flag)):
            yield Problem(f"backend.flags.{flag}", f"needs CUDA: {needs}", "leave it out")
    yield from _four_bit(recipe, target, read)
    if read.get("ds.tensor_parallel_size", 1) > 1 and target.dtype == "fp16":
        yield Problem("backend.flags.ds.tensor_parallel_size", "tensor parallel training needs bf16", "`dtype: bf16`")
    if read["ckpt.disable_ds"] and recipe.save_every:
        yield Problem("backend.flags.ckpt.disable_ds", "no checkpoint could be resumed from", "leave save_every out")
    if recipe.kind != "rl" and read["ckpt.save_hf"] and recipe.save_every:
        yield Problem(
            "backend.flags.ckpt.save_hf",
            "copies of the model push out the checkpoints that a run is resumed from",
            "leave it out; the last model is kept in any case",
        )


def _four_bit(recipe: OfflineRecipe | RlRecipe, target: ComputeTarget, read: Mapping[str, Any]) -> Iterator[Problem]:
    key = "backend.flags.ds.load_in_4bit"
    if not read["ds.load_in_4bit"]:
        return
    if recipe.kind == "rl":
        yield Problem(key, "weights in 4 bits cannot be sent to vLLM", "train RL in bf16")
    elif recipe.optimizer.lora is None:
        yield Problem(key, "weights in 4 bits cannot be trained, only adapters on them", "say `optimizer.lora: {}`")
    elif target.dtype != "bf16":
        yield Problem(key, "OpenRLHF has 4 bits with bf16 only", "say `backend.dtype: bf16`")


_CUDA: Mapping[str, str] = {
    "ds.load_in_4bit": "it is bitsandbytes'",
    "ds.use_liger_kernel": "its kernels are Triton's",
    "ds.overlap_comm": "it is about CUDA streams",
}
_NO_IMAGES = ("lrmctl's prompts are text: images are not supported", "leave it out")
_NO_REWARD_MODEL = ("OpenRLHF runs no reward model: rewards come from lrmctl's service", "leave it out")
_NOT_HERE: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(("data.image_key", "data.max_images_per_prompt", "actor.freeze_visual_encoder"), _NO_IMAGES),
    **dict.fromkeys(("train.colocate_critic_reward", "reward.offload"), _NO_REWARD_MODEL),
    **dict.fromkeys(("reward.num_nodes", "reward.num_gpus_per_node"), _NO_REWARD_MODEL),
    "data.prompt_probs": (_ONE_FILE, "say it in the recipe: prompts.0.weight, prompts.1.weight, ..."),
    "data.dataset_probs": (_ONE_FILE, "say it in the recipe: data.sources.0.weight, data.sources.1.weight, ..."),
    **dict.fromkeys(("data.prompt_split", "data.dataset_split", "eval.split"), (_ONE_FILE, "leave it out")),
}
