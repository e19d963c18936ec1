"""What a training backend has to offer. A backend plans without executing, and launches without deciding."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl.types import Plan

if TYPE_CHECKING:
    from lrmctl.recipe.problems import Problem
    from lrmctl.recipe.schema.recipes import RlRecipe, SftRecipe


REWARD_URL = "http://reward-service.invalid/reward"
"""Stands in a plan for the URL of the reward service, which is known when the service has started."""


def with_reward_url(plan: Plan, url: str) -> Plan:
    """The plan with the URL of the running reward service, which has a secret token in it, put in for `REWARD_URL`."""

    def put(values: Mapping[str, str]) -> dict[str, str]:
        return {key: value.replace(REWARD_URL, url) for key, value in values.items()}

    argv = tuple(word.replace(REWARD_URL, url) for word in plan.argv)
    return replace(plan, argv=argv, env=put(plan.env), files=put(plan.files), secrets=put(plan.secrets))


@dataclass(frozen=True)
class TrainJob:
    """A recipe with everything resolved that is not the backend's business.

    Attributes:
        model_path: local folder of the HF checkpoint to start from; when planning it may not be there yet.
        run_dir: the run folder; a plan's files are relative to it.
        rows: rendered training rows; SFT `{"prompt", "response"}`, RL `{"prompt", "label"}`, all plain text
            (`label` is a JSON string that comes back with every reward call).
        reward_url: HTTP endpoint of the reward service; RL only. When planning it is `REWARD_URL`, which is replaced in
            the whole plan when the service has started.
        resume: continue from the last checkpoint under `run_dir`, of which there is one.
        eval_rows: rows that are looked at during training and not trained on, of the same form.
        here: the job starts on this machine; else it is planned for a machine that cannot be asked for its GPUs.
        made_from: the model's own folder, where `model_path` is made from it just before the launch.
    """

    recipe: SftRecipe | RlRecipe
    model_path: Path
    run_dir: Path
    rows: Sequence[Mapping[str, str]]
    reward_url: str = ""
    resume: bool = False
    eval_rows: Sequence[Mapping[str, str]] = ()
    here: bool = True
    made_from: Path | None = None

    @property
    def described_by(self) -> Path:
        """The folder whose configuration describes the model: `model_path`, or what that will be made from."""
        return self.made_from or self.model_path


@dataclass(frozen=True)
class Progress:
    """One optimizer or RL step that has ended; `metrics` is what goes to metrics.jsonl.

    Attributes:
        phase: what the trainer is doing before its first step has ended (`loading the model`); empty afterwards.
        checkpoint: last step of this launch that a checkpoint was kept of, 0 for none.
        alarms: names of the reward-hacking alarms that have fired (`lrmctl.monitors`).
    """

    step: int
    total: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    phase: str = ""
    checkpoint: int = 0
    alarms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Checkpoint:
    """What a resumed run goes on from.

    Attributes:
        saved: when it was written (seconds since the epoch).
        passed_over: later checkpoints that cannot be loaded, each with the reason.
    """

    step: int
    path: Path
    saved: float
    passed_over: tuple[str, ...] = ()


class Backend(ABC):
    """A trainer behind a plan; derive from it. `checkpoint`, `versions`, `check` and `ready` have defaults.

    Attributes:
        name: as a recipe names it.
    """

    name: str

    @abstractmethod
    def plan(self, job: TrainJob) -> Plan:
        """The plan of a job: the command line, the environment, the files; executes nothing."""

    @abstractmethod
    def launch(
        self,
        plan: Plan,
        run_dir: Path,
        on_progress: Callable[[Progress], None],
        abort: Callable[[], Exception | None],
    ) -> Path:
        """Run the plan as a subprocess until it ends; returns the folder of the HF checkpoint.

        `abort` is polled: an exception it returns ends the run and is what the user reads. Raises it, or
        `BackendError` with the first root cause. Leaves no process behind, however it ends.
        """

    def checkpoint(self, run_dir: Path) -> Checkpoint | None:  # noqa: ARG002
        """What a resumed run would go on from; None if nothing was saved and it would start at the beginning.

        By default a run cannot be resumed from within.
        """
        return None

    def versions(self) -> Mapping[str, Any]:
        """Versions for the lock file, without importing the trainer; none by default."""
        return {}

    def check(self, recipe: SftRecipe | RlRecipe) -> Sequence[Problem]:  # noqa: ARG002
        """What is wrong with a recipe, and notes, without a model, data, a GPU or the trainer itself; by default
        nothing."""
        return ()

    def ready(self) -> None:
        """Asked before a run folder is made; by default all is there.

        Raises:
            NotFoundError: the trainer is not installed.
        """


def make_backend(name: str) -> Backend:
    """The registered backend of this name; one that does not derive from `Backend` gets the defaults that it lacks.

    Raises:
        LrmctlError: nobody registers it, or its plugin cannot be loaded.
    """
    from lrmctl.hooks import registry
    from lrmctl.hooks.adapt import adapted_to

    made: Backend = adapted_to(Backend, ("plan", "launch"), registry.make("backend", name), "backend")
    return made
