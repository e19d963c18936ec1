"""The run folder: where everything of one training run lies, and what state the run is in.

    runs/<name>/  recipe.yaml lock.json plan.json data/ metrics.jsonl rollouts.jsonl logs/attempt-N/ checkpoints/ model/
                  status.json eval/ analysis/

A folder is never overwritten. Who trains holds a file lock that the system drops when the process dies, however it
dies; so a run that says `running` and is not held was interrupted. This room knows no recipe and no backend.
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
    """Where an evaluation lies in a run's folder: the run's own, or a variant beside it."""
    return out / (f"eval-{variant}" if variant else "eval")


class RunFolder:
    """Paths and state of one run. Making one creates nothing."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path).absolute()

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def model(self) -> Path:
        """The finished HF checkpoint; present only when training has ended well."""
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
        """The folder of a run, made if it is not there. A folder in which no run was begun is not taken.

        Raises:
            RunExistsError: if the name is taken and `resume` is False.
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
        """The last state with its facts; `interrupted` if it says `running` and nobody holds the folder."""
        status = read_object(self.status_file)
        if status.get("state") == "running" and not is_held(self.path):
            status["state"] = "interrupted"
        return status

    def set_status(self, state: State, **facts: Any) -> None:
        """Write the state; facts of earlier states stay unless they are given anew, an old error does not."""
        old = {k: v for k, v in self.status().items() if k != "error"}
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        write_json(self.status_file, {**old, "state": state, "updated": now, **facts})

    def attempts(self) -> list[Path]:
        """Log folders of all attempts, oldest first."""
        found = [p for p in self.logs.glob("attempt-*") if p.name.removeprefix("attempt-").isdigit()]
        return sorted(found, key=lambda p: int(p.name.removeprefix("attempt-")))

    def new_attempt(self) -> Path:
        """Make and return the log folder of the next attempt."""
        last = self.attempts()
        number = int(last[-1].name.removeprefix("attempt-")) + 1 if last else 1
        path = self.logs / f"attempt-{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700)  # a trainer that cannot reach the reward service logs its URL, which has the token in it
        return path

    def hold(self, doing: str = "training") -> AbstractContextManager[None]:
        """Keep other processes from training in this folder.

        Raises:
            RunExistsError: if another process is doing so.
        """
        return hold(self.path, doing)
