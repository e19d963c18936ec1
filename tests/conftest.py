"""What all tests need."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

# a shell that starts the tests in the background makes them ignore Ctrl-C, and whatever they start inherits that
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# an example's time tells of the machine and of what it imports first, not of what is tested
settings.register_profile("lrmctl", deadline=None)
settings.load_profile("lrmctl")


@dataclass(frozen=True)
class Result:
    """What a command of lrmctl left: its exit code and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def last_line(self) -> str:
        return self.err.strip().splitlines()[-1]

    @property
    def is_an_answer(self) -> bool:
        """Whether lrmctl understood what was wrong: no bug of its own, no traceback."""
        said = self.out + self.err
        return self.code in (0, 1, 2, 3) and not any(word in said for word in ("bug in lrmctl", "Traceback (most"))


Lrmctl = Callable[..., Result]


@pytest.fixture(autouse=True)
def _runs_folder_of_no_other_test() -> Iterator[None]:
    """A command that ran in this process leaves the folder of its runs in the environment, for its children."""
    from lrmctl.runs.names import RUNS_DIR_VARIABLE

    before = os.environ.get(RUNS_DIR_VARIABLE)
    yield
    if before is None:
        os.environ.pop(RUNS_DIR_VARIABLE, None)
    else:
        os.environ[RUNS_DIR_VARIABLE] = before


@pytest.fixture(autouse=True)
def _import_path_of_no_other_test(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A reward in a file may import the files beside it, so that its folder stays on the path of this process."""
    before = list(sys.path)
    yield
    below = f"{tmp_path_factory.getbasetemp()}{os.sep}"
    sys.path[:] = [folder for folder in sys.path if folder in before or not folder.startswith(below)]


@pytest.fixture
def lrmctl(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Lrmctl:
    """The command line in this process, with an empty working folder."""
    monkeypatch.chdir(tmp_path)

    def call(*words: object) -> Result:
        from lrmctl.__main__ import run

        monkeypatch.setattr(sys, "argv", ["lrmctl", *map(str, words)])
        capsys.readouterr()
        code = run()
        said = capsys.readouterr()
        return Result(code, said.out, said.err)

    return call


@pytest.fixture
def odd_rewards(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin `tests/support/odd_rewards.py` as an installed distribution, found in the ordinary way."""
    from lrmctl.hooks import registry

    site = tmp_path_factory.mktemp("site")
    info = site / "odd_rewards-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: odd-rewards\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lrmctl]\nodd = odd_rewards\n")
    (site / "odd_rewards.py").write_text((Path(__file__).parent / "support" / "odd_rewards.py").read_text())
    monkeypatch.syspath_prepend(site)
    # plugins are looked for once per process; this test's distribution came later
    monkeypatch.setattr(registry._default, "_third_party", None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with long tests first: a worker takes one file at a time, and a long one at the end keeps it alone."""
    long = {item.path for item in items if item.get_closest_marker("e2e") or item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long)
