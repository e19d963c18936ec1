"""The base class of training backends. A backend plans without executing, and launches without deciding."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl._util.installed import version_of
from lrmctl.types import Plan

if TYPE_CHECKING:
    from lrmctl.recipe.problems import Problem
    from lrmctl.recipe.schema.recipes import OfflineRecipe, RlRecipe


REWARD_URL = "http://reward-service.invalid/reward"
"""Placeholder in a plan for the URL of the reward service, which is known only once the service has started."""


def with_reward_url(plan: Plan, url: str) -> Plan:
    """The plan with `REWARD_URL` replaced by the URL of the running reward service, which contains a secret token."""

    def put(values: Mapping[str, str]) -> dict[str, str]:
        return {key: value.replace(REWARD_URL, url) for key, value in values.items()}

    argv = tuple(word.replace(REWARD_URL, url) for word in plan.argv)
    return replace(plan, argv=argv, env=put(plan.env), files=put(plan.files), secrets=put(plan.secrets))


@dataclass(frozen=True)
class TrainJob:
    """A training job: the recipe with everything resolved that is not the backend's concern.

    Attributes:
        model_path: local folder of the HF checkpoint to start from; it may not exist yet at planning time.
        run_dir: the run folder; a plan's files are relative to it.
        rows: rendered training rows; SFT `{"prompt", "response"}`, preference
            `{"prompt", "chosen", "rejected"}`, RL `{"prompt", "label"}`, all plain text
            (`label` is a JSON string that comes back with every reward call).
        reward_url: HTTP endpoint of the reward service; RL only. At planning time it is `REWARD_URL`, which is replaced
            throughout the plan once the service has started.
        resume: continue from the last checkpoint under `run_dir`; one must exist.
        eval_rows: rows that are evaluated during training and not trained on, in the same format.
        here: the job starts on this machine; otherwise it is planned for a machine whose GPUs cannot be queried.
        made_from: the model's original folder, if `model_path` is created from it just before the launch.
    """

    recipe: OfflineRecipe | RlRecipe
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
        """The folder whose configuration describes the model: `model_path`, or the folder it will be created from."""
        return self.made_from or self.model_path


@dataclass(frozen=True)
class Progress:
    """One finished optimizer or RL step; `metrics` is what goes to metrics.jsonl.

    Attributes:
        phase: what the trainer is doing before its first step has finished (`loading the model`); empty afterwards.
        checkpoint: step of the latest checkpoint saved by this launch, 0 for none.
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
    """The checkpoint that a resumed run continues from.

    Attributes:
        saved: when it was written (seconds since the epoch).
        passed_over: later checkpoints that cannot be loaded, each with the reason.
    """

    step: int
    path: Path
    saved: float
    passed_over: tuple[str, ...] = ()


class Backend(ABC):
    """Base class of training backends. `checkpoint`, `versions`, `check` and `ready` have defaults.

    Attributes:
        name: the name that recipes use.
        packages: distributions whose versions the lock of a run records; those that are not installed are left out.
    """

    name: str
    packages: Sequence[str] = ()

    @abstractmethod
    def plan(self, job: TrainJob) -> Plan:
        """Plan a job: the command line, the environment, the files. Executes nothing."""

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
        """The checkpoint that a resumed run would continue from; None if nothing was saved and it would start over.

        The default is None: the run cannot be resumed.
        """
        return None

    def versions(self) -> Mapping[str, Any]:
        """Versions for the lock file, found without importing the trainer: by default those of `packages`."""
        return {package: version for package in self.packages if (version := version_of(package))}

    def check(self, recipe: OfflineRecipe | RlRecipe) -> Sequence[Problem]:  # noqa: ARG002
        """Problems and notes of a recipe, found without a model, data, a GPU or the trainer itself; none by default."""
        return ()

    def ready(self) -> None:
        """Check before a run folder is created that the trainer can start; by default it can.

        Raises:
            NotFoundError: the trainer is not installed.
        """


def make_backend(name: str) -> Backend:
    """The registered backend of this name; one that does not derive from `Backend` gets the missing defaults.

    Raises:
        LrmctlError: no such backend is registered, or its plugin cannot be loaded.
    """
    from lrmctl.hooks import registry
    from lrmctl.hooks.adapt import adapted_to

    made: Backend = adapted_to(Backend, ("plan", "launch"), registry.make("backend", name), "backend")
    return made
