"""Process entry point: runs the CLI and turns every failure into one message, an exit code and the command to resume.

Exit codes: 0 ok, 1 findings, 2 user error or unusable path, 3 backend run failed, 70 bug in lrmctl, 130 interrupted.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
from contextlib import suppress
from types import FrameType

_LOCKED = "ask its owner for access (`ls -ld` shows who that is), or choose another path"


def main() -> None:
    """Entry point of the console script."""
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(run())


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    """Treat SIGTERM as Ctrl-C, so that running work is cleaned up."""
    raise KeyboardInterrupt


def run() -> int:
    """Run the command line in `sys.argv` and return the exit code. Raises nothing."""
    from lrmctl.cli.app import app
    from lrmctl.cli.completion import VARIABLE, answer

    if VARIABLE in os.environ:
        return answer(app)
    _print_anything()
    try:
        code = app(prog_name="lrmctl", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except BaseException as error:
        cause = getattr(error, "cause", error)
        if isinstance(cause, BrokenPipeError) and _nobody_reads():  # e.g. `lrmctl ... | head`
            _drop_stdout()
            return 0
        if isinstance(cause, OSError):
            _drop_stdout()
        return _explain(cause)


def _print_anything() -> None:
    """Print characters that the terminal cannot encode as escapes instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError, OSError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # not every stream has it


def _nobody_reads() -> bool:
    """Whether stdout's reader has closed it, rather than some other pipe or socket being broken."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return any(event & select.POLLERR for _, event in poll.poll(0))
    except (OSError, ValueError):  # stdout has no file descriptor
        return False


def _drop_stdout() -> None:
    """After a broken pipe or a full disk, discard buffered output: flushing it at exit would fail again."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _explain(error: BaseException) -> int:
    """Print the error to stderr; if the work can be resumed, the last line is the command that does so."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    if hasattr(error, "show") and hasattr(error, "exit_code"):  # a usage error, worded by click
        error.show()
        return int(error.exit_code)
    code = _say(error)
    for note in getattr(error, "__notes__", ()):
        print(note, file=sys.stderr)
    return code


def _say(error: BaseException) -> int:
    from lrmctl import console
    from lrmctl.errors import LrmctlError

    if isinstance(error, (KeyboardInterrupt, EOFError)):
        console.say("interrupted")
        return console.INTERRUPTED
    if isinstance(error, LrmctlError):
        console.print_error(error)
        return error.exit_code
    if understood := _of_the_machine(error):
        console.print_error(understood)
        return console.USER_ERROR
    console.print_error(RuntimeError(f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"))
    console.say(f"  this is a bug in lrmctl; the traceback is in {_log(error)}")
    return console.UNEXPECTED


def _of_the_machine(error: BaseException) -> BaseException | None:
    """The error to print for a failure of a path, disk, memory or malformed input; None for any other."""
    from lrmctl._util.disk import FULL
    from lrmctl.errors import DiskFullError, LrmctlError

    if isinstance(error, OSError) and error.errno is not None:
        where = str(error.filename) if error.filename not in (None, -1) else ""
        where = where if len(where) <= 200 else f"{where[:200]}..."
        if error.errno in FULL and where:
            return DiskFullError(os.strerror(error.errno), where, "free some space")
        fix = _LOCKED if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) and where else ""
        return LrmctlError(os.strerror(error.errno), where, fix)
    if "No space left on device" in str(error):
        return error
    if isinstance(error, ValueError) and "null byte" in str(error):
        return LrmctlError("a file name must not contain a zero byte", fix="give another name")
    if isinstance(error, RuntimeError) and "home directory" in str(error):  # `Path.expanduser` of `~nobody`
        return LrmctlError("a path begins with ~ and the name of an unknown user", fix="write the full path")
    if isinstance(error, RecursionError):
        return LrmctlError("the input is nested too deeply to be read")
    if isinstance(error, MemoryError):
        return LrmctlError("there is not enough memory for this")
    return None


def _log(error: BaseException) -> str:
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="lrmctl-", suffix=".log", delete=False, encoding="utf-8") as log:
        log.writelines(traceback.format_exception(error))
        return log.name


if __name__ == "__main__":
    main()
