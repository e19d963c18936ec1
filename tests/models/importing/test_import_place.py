"""What an import writes is whole or not there, and never in the place of something else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_disk import can_mount, on_tiny_disk

from lrmctl.errors import LrmctlError, RunExistsError
from lrmctl.models import fingerprint
from lrmctl.models.importing import ImportOptions, import_model


def test_a_folder_that_holds_something_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.txt").write_text("years of work")
    for force in (False, True):
        with pytest.raises(RunExistsError, match="is not empty"):
            import_model("lab:tiny", tmp_path / "out", ImportOptions(force=force))
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "thesis.txt"]


def test_an_earlier_import_is_replaced_with_force_only(tmp_path: Path, lrmctl: Any) -> None:
    (tmp_path / "out").mkdir()  # an empty one is taken
    import_model("lab:tiny", tmp_path / "out")
    (tmp_path / "out/more.txt").write_text("x")
    refused = lrmctl("model", "import", "lab:tiny", "out", "--dtype", "bfloat16")
    assert (refused.code, "--force" in refused.err) == (2, True)
    assert lrmctl("model", "import", "out", "out", "--dtype", "bfloat16", "--force").code == 0
    assert json.loads((tmp_path / "out/config.json").read_text())["dtype"] == "bfloat16"
    assert not (tmp_path / "out/more.txt").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("out")] == ["out"]


def test_an_earlier_import_stays_if_the_new_one_fails(copy: Path, tmp_path: Path) -> None:
    before = import_model("lab:tiny", tmp_path / "out")["fingerprint"]
    (copy / "chat_template.jinja").write_text("{{ 1 / 0 }}")
    with pytest.raises(LrmctlError):
        import_model(str(copy), tmp_path / "out", ImportOptions(force=True))
    assert fingerprint(tmp_path / "out") == before


@pytest.mark.parametrize("name", ["file", "file/below", "x" * 300, "a\0b"])
def test_a_place_that_cannot_be_a_folder_is_one_sentence(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("years of work")
    with pytest.raises(LrmctlError, match="OUT"):
        import_model("lab:tiny", tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_an_interruption_at_any_step_leaves_nothing(step: int, tmp_path: Path) -> None:
    def interrupt(done: int, _total: int, _note: str) -> None:
        if done == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_model("lab:tiny", tmp_path / "out", on_progress=interrupt)
    assert not list(tmp_path.iterdir())


def test_what_a_killed_import_left_is_removed_by_the_next_and_others_are_not(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    for name in (f"out.{ended.pid}-0123abcd.part", "out.1-0123abcd.part", f"other.{ended.pid}-0123abcd.part"):
        (tmp_path / name).mkdir()
    import_model("lab:tiny", tmp_path / "out")
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == [f"other.{ended.pid}-0123abcd.part", "out", "out.1-0123abcd.part"]


def test_weights_that_do_not_fit_are_refused_before_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lrmctl: Any
) -> None:
    import shutil

    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    done = lrmctl("model", "import", "lab:tiny", "out")
    assert done.code == 2
    assert "the disk is full: the weights take 0.00 GB" in " ".join(done.err.split())
    assert not list(tmp_path.glob("out*"))


@pytest.mark.e2e
@pytest.mark.skipif(not can_mount(), reason="no file system can be mounted here")
@pytest.mark.parametrize("size", ["200k", "1060k"])  # too small for the weights; for what comes after them
def test_a_full_disk_is_one_sentence_and_leaves_nothing(size: str, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    line = ["model", "import", "lab:tiny", "disk/out"]
    check = tmp_path / "look.py"
    check.write_text("import os, sys\nprint(sorted(os.listdir('disk')), file=sys.stderr)")
    full, left, after, whole = on_tiny_disk(tmp_path / "disk", (size, "64m"), line, ["python", str(check)])
    assert full[0] == 2, full
    assert len([text for text in full[1].splitlines() if text.startswith("error:")]) == 1
    assert "free some space" in full[1]
    assert left[1].strip() == "[]"
    assert after[0] == 0, after
    assert whole[1].strip() == "['out']"
