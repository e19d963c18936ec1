"""The contract checks of what a run starts with: recipes, checks of the machine, and launchers."""

from __future__ import annotations

import inspect
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lrmctl.errors import LrmctlError
from lrmctl.testing.backend import is_json
from lrmctl.testing.checks import ContractError, require

if TYPE_CHECKING:
    from lrmctl.backends.launch import Launcher
    from lrmctl.doctor import Check, Checker

_DOCTOR_SECONDS = 30.0
_UNKNOWN = "lrmctl_no_such_option"


def check_recipe(path: Path) -> None:
    """A YAML file that loads, and whose plugins, options and settings are valid. Runs and downloads nothing.

    Raises:
        ContractError: one of these does not hold.
    """
    from lrmctl.preflight.validate import validate
    from lrmctl.recipe.load import load_recipe

    require(isinstance(path, str | os.PathLike), f"the factory gives a {type(path).__name__}, not the path of a file")
    require(Path(path).is_file(), f"there is no file {path}; is it part of the package?")
    try:
        validate(load_recipe(Path(path)))
    except LrmctlError as error:
        raise ContractError(str(error)) from error


def check_doctor_check(checker: Checker) -> None:
    """Checks with a verdict, a reason, and a fix where one is needed; within 30 seconds, here and on a machine without
    programs, variables and runs, writing nothing.

    Raises:
        ContractError: one of these does not hold.
    """
    from lrmctl.doctor import Check

    with tempfile.TemporaryDirectory(prefix="lrmctl-doctor-") as folder:
        runs = Path(folder) / "runs"
        for where in ("here", "on a bare machine"):
            for one in _examined(checker, runs, where):
                require(isinstance(one, Check), f"{where}: it gives a {type(one).__name__}, not a lrmctl.doctor.Check")
                require(one.verdict in ("ok", "warn", "fail"), f"{where}: {one.id!r} has the verdict {one.verdict!r}")
                require(bool(one.id and one.reason), f"{where}: a check has an id and a reason")
                require(one.verdict == "ok" or bool(one.fix), f"{where}: {one.id!r} is {one.verdict!r} and has no fix")
        require(not list(Path(folder).iterdir()), "it writes into the folder of runs")


def _examined(checker: Checker, runs: Path, where: str) -> list[Check]:
    """In a thread, so that one that hangs is told."""
    from lrmctl.doctor import Machine

    found: list[list[Check]] = []
    raised: list[BaseException] = []

    def examine() -> None:
        try:
            found.append(list(checker(Machine(runs))))
        except BaseException as error:
            raised.append(error)

    with _bare(runs.parent) if where != "here" else _as_it_is():
        thread = threading.Thread(target=examine, name="lrmctl tests a check", daemon=True)
        thread.start()
        thread.join(_DOCTOR_SECONDS)
    if raised:
        raise ContractError(f"{where} it raises {type(raised[0]).__name__}: {raised[0]}")
    require(bool(found), f"{where} it takes longer than {_DOCTOR_SECONDS:g} s")
    require(bool(found[0]), f"{where} it gives no check")
    return found[0]


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield


@contextmanager
def _bare(folder: Path) -> Iterator[None]:
    """No programs on the path and no variables."""
    kept = dict(os.environ)
    os.environ.clear()
    os.environ |= {"PATH": str(folder / "no-programs"), "HOME": str(folder)}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ |= kept


def check_launcher(make: Callable[..., Launcher]) -> None:
    """Plans a job without starting it: the same preview and record twice, as text and JSON, writing nothing; refuses an
    option that it does not know with a TypeError, ValueError or LrmctlError. Nothing is submitted.

    Args:
        make: makes the launcher: a class, or a function that takes the options.

    Raises:
        ContractError: one of these does not hold.
    """
    from lrmctl.backends.launch import Launcher, LaunchJob

    made = make()
    require(isinstance(made, Launcher), f"it is a {type(made).__name__}, not a lrmctl.backends.launch.Launcher")
    for field in ("poll_interval", "patience"):
        require(getattr(made, field) > 0, f"`{field}` is a number of seconds")
    _check_unknown_option(make)
    try:
        made.check()
    except LrmctlError:  # jobs cannot be started here, and it says so
        pass
    except Exception as error:
        raise ContractError(
            f"check raises {type(error).__name__}: {error}; raise an LrmctlError that says why"
        ) from error
    with tempfile.TemporaryDirectory(prefix="lrmctl-launcher-") as folder:
        log = Path(folder) / "logs" / "output.log"
        log.parent.mkdir()
        env = {"QUOTED": "a 'b' $c", "TEMPORARY": "{lrmctl-temp}/x"}
        job = LaunchJob("plugin test", ["true", "a b"], env, Path(folder), log, resources={"nodes": 1, "gpus": 1})
        shown, record = made.preview(job), dict(made.record(job))
        require(isinstance(shown, str), f"preview gives a {type(shown).__name__}, not a text")
        require(
            (made.preview(job), dict(made.record(job))) == (shown, record), "preview or record changes when repeated"
        )
        require(is_json(record), "the record is not JSON")
        require(not record or bool(record.get("id")), "a record that is known before has an `id`")
        written = [path.name for path in Path(folder).rglob("*") if path != log.parent]
        require(not written, f"preview or record writes {', '.join(written)}")


def _check_unknown_option(make: Callable[..., Launcher]) -> None:
    try:
        parameters = inspect.signature(make).parameters.values()
    except (TypeError, ValueError):  # some C callables have none
        return
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters):
        return  # it takes what a cluster's own program takes
    try:
        make(**{_UNKNOWN: "x"})
    except (TypeError, ValueError, LrmctlError):
        return
    raise ContractError(f"it takes the option {_UNKNOWN!r}, which it cannot know")
