"""Files that are deleted while a command works with them: one clear error, and nothing else is lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from calls import SUM, good, post, service

from lrmctl._util.jsonl import JsonlAppender
from lrmctl.backends.launch.local import run as run_logged
from lrmctl.cli.commands import monitor
from lrmctl.engines.base import Completion, GenerationRequest, Sampling
from lrmctl.engines.store import Store
from lrmctl.errors import LrmctlError
from lrmctl.runs import overview
from lrmctl.runs.folder import RunFolder

Lrmctl = Callable[..., Any]
EVAL = ("eval", "lab:tiny", "--recipe", "lab/eval", "--name", "n", "--set", "evaluation.limit=1",
        "--set", "evaluation.samples=1", "--set", "evaluation.temperatures=[0.6]")  # fmt: skip


def _drawn(n: int) -> tuple[GenerationRequest, Completion]:
    return GenerationRequest("hello", Sampling(1.0), sample=n), Completion((1, 2), "hi", "stop")


@pytest.mark.parametrize("gone", ["file", "folder", "replaced"])
def test_a_store_that_is_deleted_is_not_written_on_in_silence(tmp_path: Path, gone: str) -> None:
    path = tmp_path / "n" / "completions.sqlite"
    with Store(path) as store:
        store.put("engine", [_drawn(0)])
        if gone == "folder":
            shutil.rmtree(path.parent)
        else:
            path.unlink()
        if gone == "replaced":
            path.write_bytes(b"")
        with pytest.raises(LrmctlError, match="deleted or replaced") as caught:
            store.put("engine", [_drawn(1)])
    assert (caught.value.where, caught.value.exit_code) == (str(path), 2)
    assert "again" in caught.value.fix


@pytest.mark.e2e
@pytest.mark.parametrize("gone", ["completions.sqlite", "."])
def test_an_evaluation_whose_files_are_deleted_ends_with_an_error_and_can_be_made_again(
    lrmctl: Lrmctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    put = Store.put
    folder = tmp_path / "runs" / "n" / "eval"

    def put_and_delete(self: Store, *of: Any) -> None:
        put(self, *of)
        shutil.rmtree(folder) if gone == "." else (folder / gone).unlink()

    with monkeypatch.context() as patched:
        patched.setattr(Store, "put", put_and_delete)
        said = lrmctl(*EVAL)
    assert said.code == 2, said.err
    assert "runs/n/eval/completions.sqlite: the store of completions was deleted" in said.err
    assert lrmctl(*EVAL).code == 0
    assert (folder / "summary.json").exists()


@pytest.mark.parametrize("gone", ["rows.jsonl", "out"])
def test_verdicts_are_whole_though_the_rows_or_the_output_are_deleted_meanwhile(
    lrmctl: Lrmctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    from lrmctl.judges.offline import score

    (tmp_path / "rows.jsonl").write_text('{"prompt": "p", "response": "r"}\n' * 70)
    judge_on, calls = score.judge_on, []

    def judge_and_delete(*of: Any) -> Any:
        calls.append(of)
        path = tmp_path / gone
        if path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()
        return judge_on(*of)

    monkeypatch.setattr(score, "judge_on", judge_and_delete)
    said = lrmctl("judge", "score", "rows.jsonl", "--judge", "refusal-phrases", "--out", "out/v.jsonl")
    assert (said.code, len(calls)) == (0, 2), said.err
    assert len((tmp_path / "out" / "v.jsonl").read_text().splitlines()) == 70


def _watched(tmp_path: Path) -> RunFolder:
    folder = RunFolder.create(tmp_path / "runs", "a")
    folder.set_status("running")
    rows = [{"n": i, "prompt": f"p{i}", "answer": "a", "reward": i % 3 / 2} for i in range(64)]
    folder.rollouts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.mark.parametrize("gone", ["rollouts", "run"])
def test_a_monitor_says_that_its_file_is_gone_and_shows_what_it_saw(
    lrmctl: Lrmctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    folder = _watched(tmp_path)

    def wait(_seconds: float) -> None:
        if gone == "run":
            shutil.rmtree(folder.path)
        else:
            folder.rollouts.unlink()

    monkeypatch.setattr(monitor.time, "sleep", wait)
    with folder.hold():
        said = lrmctl("monitor", "a", "--follow", "--window", "16")
    assert said.code == 2
    assert "runs/a/rollouts.jsonl: this file was deleted while it was read" in said.err
    assert "length-drift" in said.out


def test_rows_that_nobody_would_find_are_not_written(tmp_path: Path) -> None:
    with JsonlAppender(tmp_path / "r.jsonl") as rows:
        rows.write({"n": 1})
        (tmp_path / "r.jsonl").unlink()
        with pytest.raises(FileNotFoundError, match=r"deleted while it was written: .*r\.jsonl"):
            rows.write({"n": 2})


def test_a_reward_service_whose_rollouts_are_deleted_names_the_file(tmp_path: Path) -> None:
    with service(tmp_path, {"use": "format"}) as s:
        post(s.url, [good(SUM, "4")])
        (tmp_path / "rollouts.jsonl").unlink()
        (reply,) = post(s.url, [good(SUM, "4")])
        failure = s.failure()
    assert set(reply) == {"rewards", "scores", "extra_logs"}
    assert isinstance(failure, LrmctlError)
    assert (failure.exit_code, failure.where) == (2, str(tmp_path / "rollouts.jsonl"))
    assert "deleted while it was written" in failure.what


def test_a_log_that_is_deleted_is_read_on(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "output.log"
    wait = "until [ -e $1 ]; do sleep 0.05; done"
    script = f"wait() {{ {wait}; }}; echo one; wait one; rm {log}; echo two; wait two; echo three; exit 3"
    seen: list[str] = []

    def on_lines(lines: list[str]) -> None:
        seen.extend(lines)
        for line in lines:
            (tmp_path / line).touch()

    assert run_logged(["sh", "-c", script], {}, cwd=tmp_path, log=log, on_lines=on_lines) == 3
    assert seen == ["one", "two", "three"]


def test_the_size_of_a_folder_in_which_something_is_deleted_is_that_of_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stays").write_text("1234")
    monkeypatch.setattr(Path, "rglob", lambda self, _: iter([self / "stays", self / "gone"]))
    assert overview.size(tmp_path) == 4


TRAIN = """
import shutil, sys
from pathlib import Path
from lrmctl.__main__ import run
from lrmctl.errors import BackendError
import acme_stub
gone = sys.argv.pop(1)

def launch(self, plan, run_dir, on_progress, abort):
    path = run_dir if gone == "run" else Path(gone)
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    (run_dir / "model.part").mkdir()

acme_stub.Stub.launch = launch
sys.exit(run())
"""


@pytest.mark.e2e
def test_a_run_folder_that_is_deleted_while_it_trains_is_one_error(stub_backend: Path, tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": f"{stub_backend}:{os.environ.get('PYTHONPATH', '')}"}
    words = [sys.executable, "-c", TRAIN, "run", "train", "small.yaml"]
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("error:") == 1
    assert str(tmp_path / "runs" / "small") in done.stderr


def test_a_recipe_that_is_deleted_before_resuming_is_named_with_the_copy_in_the_run(
    lrmctl: Lrmctl, tmp_path: Path, stub_backend: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lrmctl.hooks import registry

    monkeypatch.syspath_prepend(str(stub_backend))
    monkeypatch.setattr(registry._default, "_third_party", None)
    assert lrmctl("train", "small.yaml").code == 3
    (tmp_path / "small.yaml").unlink()
    said = lrmctl("train", "small.yaml", "--resume")
    assert (said.code, "small.yaml" in said.err) == (2, True)
    again = lrmctl("train", "runs/small/recipe.yaml", "--resume", "--from-start")
    assert (again.code, "ran out of ideas" in again.err) == (3, True)  # as the stub does each time
