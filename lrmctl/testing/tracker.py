"""The contract check of trackers: every event of a training, a failed one, and a later evaluation, as in a run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lrmctl.hooks.specs import TrackedRun, Tracker
from lrmctl.testing.checks import require

NAME = "lrmctl-plugin-test"
"""Name of the run that a tracker under test hears of."""
_RECIPE = {"kind": "rl", "name": NAME, "model": "lab:tiny", "reward": {"components": [{"use": "format", "weight": 1}]}}
_ROW = {"prompt_id": "p", "kind": "benign", "prompt": "2 + 2?", "thinking": "It is 4.", "answer": "4", "reward": 1.0}
_FIGURE = {"value": 0.5, "low": 0.25, "high": 0.75, "n": 8}
_SUMMARY = {
    "sets": [
        {"set": "ours", "kind": "benign", "temperature": 0.6, "metrics": {"complied": _FIGURE, "none": {"value": None}}}
    ]
}
_EVENTS = tuple(name for name in vars(Tracker) if not name.startswith("_"))


def check_tracker(make: Callable[[], Tracker]) -> None:
    """Every event is taken, in the order in which a run tells it, from the thread in which a run tells it.

    A run goes on without a tracker that raises; here it is the finding. A tracker that sends to a server sends the
    events of a run called `lrmctl-plugin-test` there: point it to a place on this machine first.

    Args:
        make: makes a new tracker, because one hears one command only: a class, or a function without arguments.

    Raises:
        ContractError: an event raises, or there is no method for it.
    """
    with tempfile.TemporaryDirectory(prefix="lrmctl-tracker-") as folder:
        run = TrackedRun(NAME, Path(folder) / NAME, _RECIPE, 1, lambda _: None)
        run.folder.mkdir()
        (run.folder / "lock.json").write_text("{}", encoding="utf-8")
        metrics = {"reward": 0.5, "time/step": 1.5}
        steps: list[tuple[Any, ...]] = [("step", 1, metrics), ("rollouts", 1, [_ROW, _ROW]), ("step", 2, metrics)]
        model = run.folder / "model"
        _tell(make(), [("run_started", run), *steps, ("finished", model)])
        _tell(make(), [("run_started", run._replace(attempt=2)), steps[0], ("failed", "the disk is full")])
        later: list[tuple[Any, ...]] = [("evaluated", _SUMMARY, ""), ("analysed", {"reflection": {}}), ("left",)]
        _tell(make(), [("run_resumed", run._replace(attempt=2)), *later])


def _tell(tracker: Any, told: Sequence[tuple[Any, ...]]) -> None:
    """Tells one command's events as a run does, and raises a ContractError for the first that is not taken."""
    from lrmctl.runs.tracking import RunEvents

    for event in _EVENTS:
        require(callable(getattr(tracker, event, None)), f"it has no method {event}; derive it from {Tracker.__name__}")
    said: list[str] = []
    heard = _Listener(tracker)
    events = RunEvents([("under test", heard)], said.append)  # type: ignore[list-item]  # it has the methods
    for event, *facts in told:
        events.tell(event, *facts)
    events.close()
    last = heard.events[-1] if heard.events else ""
    require(not said, f"{last}: {said[0].removeprefix('tracker under test: ').partition(';')[0]}" if said else "")
    expected = [event for event, *_ in told]
    require(heard.events == expected, f"heard {heard.events}, not {expected}")


class _Listener:
    """Passes events on, and notes their names."""

    def __init__(self, tracker: Any) -> None:
        self._tracker = tracker
        self.events: list[str] = []

    def __getattr__(self, event: str) -> Callable[..., None]:
        def told(*facts: Any) -> None:
            self.events.append(event)
            getattr(self._tracker, event)(*facts)

        return told
