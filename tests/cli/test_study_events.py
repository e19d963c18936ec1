from __future__ import annotations

import pytest

from lrmctl.cli.views import events
from lrmctl.studies.stages import StudyEvent


def test_a_study_in_a_pipe_says_every_start_and_end_on_stderr(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "QUIET_SECONDS", 0.0)
    with events.show_events() as on_event:
        on_event(StudyEvent("rl", "train", "start"))
        on_event(StudyEvent("rl", "train", "progress", "reward 0.5", 1, 80))
        on_event(StudyEvent("rl", "train", "done", seconds=185))
        on_event(StudyEvent("base", "eval", "kept"))
        on_event(StudyEvent("sft", "train", "failed", "no [disk]"))
        on_event(StudyEvent("sft", "eval", "failed"))
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[:-1] == [
        "start   rl train",
        "        rl train 1/80, reward 0.5",
        "done    rl train, 3 min 05 s",
        "kept    base eval, done before",
        "failed  sft train: no [disk]",
        "skipped sft eval: an earlier stage failed",
    ]
