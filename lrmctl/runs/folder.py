"""The run folder: the files and the state of one training run.

    runs/<name>/  recipe.yaml lock.json plan.json data/ metrics.jsonl rollouts.jsonl logs/attempt-N/ checkpoints/ model/
                  status.json eval/ analysis/

A folder is never overwritten. The training process holds a file lock that the operating system releases when the
process ends, so a run whose state is `running` but whose lock is free was interrupted. Knows no recipe and no backend.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

from lrmctl.errors import RunExistsError
from lrmctl.runs.damage import read_object
from lrmctl.runs.holding import hold, is_held
from lrmctl.runs.marks import mark, refuse_foreign
from lrmctl.runs.names import check_name
from lrmctl.runs.writing import write_json as write_json

State = Literal["running", "done", "failed"]


def eval_folder(out: Path, variant: str = "") -> Path:
    """Folder of an evaluation in a run's folder: the main one, or a named variant."""
    return out / (f"eval-{variant}" if variant else "eval")


class RunFolder:
    """Paths and state of one run. Constructing it creates nothing on disk."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path).absolute()

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def model(self) -> Path:
        """The final HF checkpoint; exists only after successful training."""
        return self.path / "model"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def rollouts(self) -> Path:
        return self.path / "rollouts.jsonl"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def data(self) -> Path:
        return self.path / "data"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def eval(self) -> Path:
        return self.path / "eval"

    @property
    def analysis(self) -> Path:
        return self.path / "analysis"

    @property
    def recipe(self) -> Path:
        return self.path / "recipe.yaml"

    @property
    def lock(self) -> Path:
        return self.path / "lock.json"

    @property
    def plan(self) -> Path:
        return self.path / "plan.json"

    @property
    def status_file(self) -> Path:
        return self.path / "status.json"

    @classmethod
    def create(cls, runs_dir: Path, name: str, *, resume: bool = False) -> RunFolder:
        """The folder of a run, created if needed. A folder in which no run has started may be used.

        Raises:
            RunExistsError: the name is taken and `resume` is False, or the folder is not lrmctl's.
        """
        check_name(name, "--name")
        folder = cls(Path(runs_dir) / name)
        if not resume and any(p.exists() for p in (folder.lock, folder.status_file, folder.model)):
            state = folder.status().get("state", "not begun")
            raise RunExistsError(
                f"the name {name!r} is taken by a run that is {state}",
                str(folder.path),
                "choose another --name" if state == "done" else "add --resume, or choose another --name",
            )
        refuse_foreign(folder.path)
        mark(folder.path)
        return folder

    def status(self) -> dict[str, Any]:
        """The last state and its facts; `interrupted` if it is `running` but no process holds the folder."""
        status = read_object(self.status_file)
        if status.get("state") == "running" and not is_held(self.path):
            status["state"] = "interrupted"
        return status

    def set_status(self, state: State, **facts: Any) -> None:
        """Write the state; earlier facts are kept unless given again, except an old error."""
        old = {k: v for k, v in self.status().items() if k != "error"}
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        write_json(self.status_file, {**old, "state": state, "updated": now, **facts})

    def attempts(self) -> list[Path]:
        """Log folders of all attempts, oldest first."""
        found = [p for p in self.logs.glob("attempt-*") if p.name.removeprefix("attempt-").isdigit()]
        return sorted(found, key=lambda p: int(p.name.removeprefix("attempt-")))

    def new_attempt(self) -> Path:
        """Create and return the log folder of the next attempt."""
        last = self.attempts()
        number = int(last[-1].name.removeprefix("attempt-")) + 1 if last else 1
        path = self.logs / f"attempt-{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700)  # the trainer may log the reward service's URL, which contains its token
        return path

    def hold(self, doing: str = "training") -> AbstractContextManager[None]:
        """Lock the folder against other processes.

        Raises:
            RunExistsError: another process holds it.
        """
        return hold(self.path, doing)
