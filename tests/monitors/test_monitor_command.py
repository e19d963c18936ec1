"""`lrmctl monitor`: a table in plain words, JSON, exit codes, and clear errors."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from made_rollouts import metrics, rollouts, run_folder, write
from test_alarms import refuse_all

from lrmctl.__main__ import run
from lrmctl.runs.folder import RunFolder

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    monkeypatch.chdir(tmp_path)

    def command(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["lrmctl", "monitor", *words])
        capsys.readouterr()
        code = run()
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    folder = run_folder(tmp_path / "runs" / "bad", rollouts(1, refuse_all), metrics(1))
    (folder / "status.json").write_text('{"state": "done"}')
    return folder


@pytest.mark.parametrize("target", ["run:bad", "bad", "runs/bad", "runs/bad/rollouts.jsonl"])
def test_an_alarm_is_exit_code_1_with_where_why_and_rows_to_read(call: Call, bad: Path, target: str) -> None:
    code, out, err = call(target)
    assert code == 1
    assert "refusal-collapse" in out
    assert "steps 25-32 (rows 1537-2048)" in out
    assert "the limit is 0.1: " in out
    assert "sed -n" in out
    assert "3072 rollouts, 6 windows of 512" in err
    assert bad.is_dir()


def test_a_clean_run_is_exit_code_0(call: Call, tmp_path: Path) -> None:
    run_folder(tmp_path / "clean", rollouts(1), metrics(1))
    code, out, _ = call("clean", "--follow")
    assert (code, "the limit is" in out) == (0, False)


def test_json_only_and_another_threshold(call: Call, bad: Path) -> None:
    code, out, _ = call(str(bad), "--json", "--only", "refusal-collapse", "--only", "kl")
    alarms = {a["alarm"]: a for a in json.loads(out)["data"]["alarms"]}
    assert (code, list(alarms), alarms["kl"]["state"]) == (1, ["refusal-collapse", "kl"], "quiet")
    assert alarms["refusal-collapse"]["figures"]["now"] > 0.9
    code, _, _ = call(str(bad), "--set", "refusal-collapse.threshold=0.99")
    assert code == 0


def test_a_second_judge_by_name(call: Call, bad: Path) -> None:
    _, out, _ = call(str(bad), "--judge", "refusal-phrases", "--window", "256", "--json", "--sample", "64")
    (found,) = [a for a in json.loads(out)["data"]["alarms"] if a["alarm"] == "judge-disagreement"]
    assert found["state"] == "cannot tell"  # it judges no thinking
    assert "failed" in found["text"]


def test_following_says_an_alarm_while_the_run_goes_on_and_ends_with_it(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrmctl.cli.commands.monitor.SECONDS", 0.02)
    rows = rollouts(1, refuse_all)
    folder = RunFolder(run_folder(tmp_path / "live", rows[:1024], metrics(1)))
    with folder.hold():
        folder.set_status("running")

        def go_on() -> None:
            write(folder.rollouts, rows)
            time.sleep(1)
            folder.set_status("done")

        later = threading.Timer(0.3, go_on)
        later.start()
        code, out, err = call("live", "--follow")
        later.join()
    assert (code, err.count("alarm: refusal-collapse, steps 25-32")) == (1, 1)
    assert "refusal-collapse" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere.jsonl"], "there is no file"),
        (["nowhere"], "there is no run"),
        (["bad", "--only", "refusal"], "there is no alarm 'refusal'"),
        (["bad", "--set", "kl=3"], "not ALARM.threshold=NUMBER"),
        (["bad", "--set", "kl.threshold=x"], "not ALARM.threshold=NUMBER"),
        (["bad", "--judge", "no-such-judge"], "no-such-judge"),
        (["bad", "--option", "a=b"], "there is no judge"),
    ],
)
def test_bad_input_is_said_in_one_sentence(call: Call, bad: Path, words: list[str], said: str) -> None:
    code, _, err = call(*words)
    assert (code, said in err, "Traceback" in err, bad.is_dir()) == (2, True, False, True)
