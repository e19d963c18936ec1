"""Models that a training run saved on its way, in Hugging Face format, by step.

OpenRLHF writes them beside the checkpoints for resuming, in `checkpoints/global_stepN_hf`, and never deletes them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from lrmctl.errors import LrmctlError, NotFoundError
from lrmctl.runs.folder import RunFolder

_SAVED = re.compile(r"global_step(\d+)_hf")
_EVALUATED = re.compile(r"eval-step-(\d+)")
_EVERY = re.compile(r"every:([1-9]\d{0,8})")


def checkpoint_models(run: Path) -> dict[int, Path]:
    """The complete models of a run's steps, the first step first; empty if it kept none."""
    folders = ((_SAVED.fullmatch(p.name), p) for p in RunFolder(run).checkpoints.glob("global_step*_hf"))
    found = {int(match.group(1)): path for match, path in folders if match and (path / "config.json").is_file()}
    return dict(sorted(found.items()))


def chosen_checkpoints(run: Path, which: str) -> Mapping[int, Path]:
    """The models of some of a run's steps.

    Args:
        which: `all`, or `every:N` for steps that N divides.

    Raises:
        LrmctlError: `which` is neither.
        NotFoundError: the run kept no model of such a step; says which setting keeps them.
    """
    every = _EVERY.fullmatch(which)
    if which != "all" and not every:
        raise LrmctlError(f"{which!r} names no checkpoints", "--checkpoints", "say all, or every:N, e.g. every:20")
    found = checkpoint_models(run)
    if not found:
        raise NotFoundError(
            f"the run {run.name!r} kept no model of its steps",
            str(RunFolder(run).checkpoints),
            "train RL with `save_every: N` and `backend: {flags: {ckpt.save_hf: true}}`, and without "
            "`evaluation.best`, which deletes all but the best; SFT keeps only the last model",
        )
    chosen = {step: path for step, path in found.items() if not every or step % int(every.group(1)) == 0}
    if not chosen:
        raise NotFoundError(
            f"no step of the run {run.name!r} fits {which}", "--checkpoints", f"there are {', '.join(map(str, found))}"
        )
    return chosen


def step_summaries(run: Path) -> dict[int, Path]:
    """The summaries of evaluated models of steps, by step."""
    files = ((_EVALUATED.fullmatch(p.parent.name), p) for p in run.glob("eval-step-*/summary.json"))
    return dict(sorted((int(match.group(1)), file) for match, file in files if match))


def step_variant(step: int) -> str:
    """Name of the evaluation of a step's model: `RUN@step-N`."""
    return f"step-{step}"
